import { Client } from 'pg';

const RECONNECT_MS = 500;

/**
 * A connection that LISTENs. `live` is true only while nothing can be missed; whoever caches what notifications
 * invalidate must not trust the cache while it is false, and hears `onChange` when that changes.
 */
export class PgListener {
  live = false;
  private client: Client | undefined;
  private stopped = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly url: string,
    private readonly channel: string,
    private readonly handlers: { onMessage: (payload: string) => void; onChange?: (live: boolean) => void },
  ) {}

  /** Connects, and keeps reconnecting until {@link stop}. */
  async start(): Promise<void> {
    if (this.stopped) return;
    const client = new Client({ connectionString: this.url, keepAlive: true, connectionTimeoutMillis: 5_000 });
    this.client = client;
    client.on('error', () => this.lost(client));
    client.on('end', () => this.lost(client));
    client.on('notification', (message) => this.handlers.onMessage(message.payload ?? ''));
    try {
      await client.connect();
      await client.query(`LISTEN ${this.channel}`);
      if (this.stopped || this.client !== client) return;
      this.live = true;
      this.handlers.onChange?.(true);
    } catch {
      this.lost(client);
    }
  }

  /** Ends the connection for good. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.live = false;
    clearTimeout(this.timer);
    await this.client?.end().catch(() => undefined);
  }

  private lost(client: Client): void {
    if (this.client !== client || this.stopped) return;
    this.client = undefined;
    this.live = false;
    this.handlers.onChange?.(false);
    client.end().catch(() => undefined);
    this.timer = setTimeout(() => void this.start(), RECONNECT_MS);
    this.timer.unref();
  }
}
