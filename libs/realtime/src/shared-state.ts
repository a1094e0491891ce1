/** Whether one more connection is within the limits, and if not whose is reached. */
export type Admittance = 'admitted' | 'principal_full' | 'client_full';

/** How many sockets there are and who is online, over all processes. A killed process counts for a few seconds more. */
export interface SharedState {
  start(): Promise<void>;
  /** With `leaving` this process's users count as online for the grace, so that they can come back elsewhere. */
  stop(): Promise<void>;
  /** Takes a place for a connection, in one step with the check. */
  admit(clientId: string, principalId: string): Promise<Admittance>;
  release(clientId: string, principalId: string): void;
  /** True when the user was online nowhere. */
  arrive(clientId: string, userId: string): Promise<boolean>;
  /** True when the user is online nowhere any more. */
  depart(clientId: string, userId: string): Promise<boolean>;
  /** Everyone of a tenant who is online. */
  online(clientId: string): Promise<ReadonlySet<string>>;
  /** Hears of what happens to other processes, and to what they share. */
  listen(listener: StateListener): void;
}

/** Who must be told something when processes die, stall or forget. */
export interface StateListener {
  /** Users who were online in a process that died, and are nowhere now. */
  abandoned(clientId: string, userIds: string[]): void;
  /** Users of this process who were said to be gone, because it had not been heard of for too long. */
  revived(clientId: string, userIds: string[]): void;
  /** What was shared is lost: a process that died just before is not mourned by itself. */
  forgotten(): void;
}

/** Injection token of the {@link SharedState}. */
export const SHARED_STATE = Symbol('SharedState');

/** The limits of SPEC: connections per principal and per tenant. */
export interface SocketLimits {
  perPrincipal: number;
  perClient: number;
}

/** One process alone. */
export class LocalState implements SharedState {
  /** Connections by principal and, under "client-total:", by tenant. */
  readonly counts = new Map<string, number>();
  readonly users = new Map<string, Set<string>>();

  constructor(private readonly limits: SocketLimits) {}

  start(): Promise<void> {
    return Promise.resolve();
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  admit(clientId: string, principalId: string): Promise<Admittance> {
    if ((this.counts.get(totalOf(clientId)) ?? 0) >= this.limits.perClient) return Promise.resolve('client_full');
    if ((this.counts.get(principalId) ?? 0) >= this.limits.perPrincipal) return Promise.resolve('principal_full');
    this.add(clientId, principalId, 1);
    return Promise.resolve('admitted');
  }

  release(clientId: string, principalId: string): void {
    this.add(clientId, principalId, -1);
  }

  arrive(clientId: string, userId: string): Promise<boolean> {
    const present = this.users.get(clientId);
    if (present?.has(userId)) return Promise.resolve(false);
    if (present) present.add(userId);
    else this.users.set(clientId, new Set([userId]));
    return Promise.resolve(true);
  }

  depart(clientId: string, userId: string): Promise<boolean> {
    const present = this.users.get(clientId);
    const was = present?.delete(userId) ?? false;
    if (present?.size === 0) this.users.delete(clientId);
    return Promise.resolve(was);
  }

  online(clientId: string): Promise<ReadonlySet<string>> {
    return Promise.resolve(this.users.get(clientId) ?? new Set());
  }

  listen(): void {
    // No other process can die.
  }

  /** Counts a connection that was admitted elsewhere. */
  add(clientId: string, principalId: string, by: 1 | -1): void {
    for (const key of [totalOf(clientId), principalId]) {
      const count = (this.counts.get(key) ?? 0) + by;
      if (count > 0) this.counts.set(key, count);
      else this.counts.delete(key);
    }
  }
}

/** The key under which a tenant's connections are counted; no principal has it. */
export function totalOf(clientId: string): string {
  return `client-total:${clientId}`;
}
