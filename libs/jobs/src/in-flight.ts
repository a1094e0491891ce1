import type { LeasedDelivery } from './deliveries.repository.js';

const MAX_CURSORS = 1_000;

/** Why an attempt was aborted: not its own fault. */
export class StoppingError extends Error {}

/**
 * What this process has leased: deliveries that wait for their turn, attempts that run, and attempts that have ended and
 * wait for their record.
 */
export class InFlight {
  /** Deliveries that wait for their turn or run, by tenant. */
  readonly byTenant = new Map<string, number>();
  /** The lane served last, by tenant. */
  readonly cursors = new Map<string, string>();
  private readonly leased = new Set<LeasedDelivery>();
  private readonly running = new Map<LeasedDelivery, AbortController>();
  private readonly unrecorded = new Set<LeasedDelivery>();
  private readonly waiting = new Set<() => void>();

  /** Deliveries that wait for their turn or run. */
  get size(): number {
    return this.leased.size;
  }

  lease(delivery: LeasedDelivery): void {
    this.leased.add(delivery);
    this.byTenant.set(delivery.clientId, (this.byTenant.get(delivery.clientId) ?? 0) + 1);
    this.cursors.delete(delivery.clientId);
    this.cursors.set(delivery.clientId, delivery.lane);
    if (this.cursors.size > MAX_CURSORS) this.cursors.delete(this.cursors.keys().next().value!);
  }

  begin(delivery: LeasedDelivery): AbortController {
    const controller = new AbortController();
    this.running.set(delivery, controller);
    return controller;
  }

  /** The attempt has ended, or will not begin. */
  end(delivery: LeasedDelivery): void {
    this.leased.delete(delivery);
    this.running.delete(delivery);
    decrement(this.byTenant, delivery.clientId);
    this.unrecorded.add(delivery);
    if (this.running.size === 0) for (const resolve of this.waiting) resolve();
  }

  recorded(delivery: LeasedDelivery): void {
    this.unrecorded.delete(delivery);
  }

  /** Deliveries that wait for their turn or run. */
  own(): string[] {
    return Array.from(this.leased, ({ id }) => id);
  }

  /** Deliveries whose attempt has ended and is not recorded yet. */
  ended(): string[] {
    return Array.from(this.unrecorded, ({ id }) => id);
  }

  abortAll(): void {
    for (const controller of this.running.values()) controller.abort(new StoppingError('The process is stopping'));
  }

  /** Resolves with true when nothing runs, with false after that long. */
  async empty(ms: number): Promise<boolean> {
    if (this.running.size === 0) return true;
    let timer: NodeJS.Timeout;
    let wake: () => void;
    await new Promise<void>((resolve) => {
      wake = resolve;
      this.waiting.add(resolve);
      timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer!);
    this.waiting.delete(wake!);
    return this.running.size === 0;
  }
}

function decrement(counts: Map<string, number>, key: string): void {
  const count = counts.get(key)! - 1;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}
