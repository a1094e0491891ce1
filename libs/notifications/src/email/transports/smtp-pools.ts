import type { Socket } from 'node:net';
import nodemailer from 'nodemailer';
import { connectPinned, type EgressGuard } from '#libs/egress';
import type { SmtpConfig } from '../provider-configs.js';

/** How long connecting, with greeting and TLS, may take. */
export const SMTP_CONNECT_TIMEOUT_MS = 10_000;
const SOCKET_TIMEOUT_MS = 30_000;
const IDLE_MS = 30_000;
/** Connections to one mail server on behalf of one client, in this process. */
export const SMTP_CONNECTIONS = 5;
const MAX_POOLS = 500;

/** What a pool connects with. */
export interface SmtpTarget extends Omit<SmtpConfig, 'provider_type' | 'security'> {
  /** `offered`: STARTTLS where the server has it. */
  security: SmtpConfig['security'] | 'offered';
  /** undefined: the operator's own server, which may be anywhere. */
  guard: EgressGuard | undefined;
}

/** Connects by nodemailer's own means, or to a checked address only. */
type PoolTransport = ReturnType<typeof newTransport>;

interface Pool {
  version: string;
  transport: PoolTransport;
}

/** nodemailer's options for a target. `ca` is trusted beside nothing else, for tests. */
export function smtpOptions(target: SmtpTarget, ca?: string) {
  const { guard, host, port, username, password, security } = target;
  return {
    host,
    port,
    secure: security === 'tls',
    requireTLS: security === 'starttls',
    ignoreTLS: security === 'none',
    auth: username === null ? undefined : { user: username, pass: password ?? '' },
    tls: ca === undefined ? {} : { ca },
    connectionTimeout: SMTP_CONNECT_TIMEOUT_MS,
    greetingTimeout: SMTP_CONNECT_TIMEOUT_MS,
    socketTimeout: SOCKET_TIMEOUT_MS,
    disableFileAccess: true,
    disableUrlAccess: true,
    ...(guard && {
      getSocket: (_: unknown, callback: (error: Error | null, socket?: { connection: Socket }) => void) => {
        connectPinned(guard, host, port, SMTP_CONNECT_TIMEOUT_MS).then(
          (connection) => callback(null, { connection }),
          (error: Error) => callback(error),
        );
      },
    }),
  };
}

function newTransport(target: SmtpTarget, ca: string | undefined) {
  return nodemailer.createTransport({
    ...smtpOptions(target, ca),
    pool: true,
    maxConnections: SMTP_CONNECTIONS,
    maxMessages: 500,
    idleTimeout: IDLE_MS,
    // A kept connection that the server ended is replaced once; after that the attempt fails, and the engine decides.
    maxRequeues: 1,
  });
}

/** Kept connections, by client and provider; a changed configuration gets new ones. */
export class SmtpPools {
  private readonly pools = new Map<string, Pool>();
  private closed = false;

  /** `ca`: trusted beside nothing else, for tests. */
  constructor(private readonly ca?: string) {}

  /** The pool under a name, for this version of its target. */
  of(name: string, version: string, target: () => SmtpTarget): PoolTransport {
    if (this.closed) throw new Error('The pools are closed');
    const known = this.pools.get(name);
    this.pools.delete(name);
    if (known?.version === version) {
      // Last in the map: the first is the one unused for longest.
      this.pools.set(name, known);
      return known.transport;
    }
    known?.transport.close();
    this.makeRoom();
    const transport = newTransport(target(), this.ca);
    // What fails is told to whoever sends; unheard, it would end the process.
    transport.on('error', () => undefined);
    this.pools.set(name, { version, transport });
    return transport;
  }

  /** Ends a pool; a mail under way is finished first. */
  drop(name: string): void {
    this.pools.get(name)?.transport.close();
    this.pools.delete(name);
  }

  /** How many pools there are. */
  get size(): number {
    return this.pools.size;
  }

  /** Ends all. */
  close(): void {
    this.closed = true;
    for (const name of [...this.pools.keys()]) this.drop(name);
  }

  private makeRoom(): void {
    for (const name of this.pools.keys()) {
      if (this.pools.size < MAX_POOLS) return;
      this.drop(name);
    }
  }
}
