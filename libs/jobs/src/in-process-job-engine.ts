import { Database, PgListener } from '#libs/database';
import type { JobEngine } from './job-engine.js';

const CHANNEL = 'chatapi_deliveries';

/** Without Redis: processes wake each other by LISTEN and NOTIFY. */
export class InProcessJobEngine implements JobEngine {
  private listener: PgListener | undefined;
  private sending: Promise<void> | undefined;
  private again = false;

  constructor(private readonly database: Database) {}

  async start(wake: () => Promise<void> | void): Promise<void> {
    // Whatever was announced while nobody listened is found by looking once.
    this.listener = new PgListener(this.database.url, CHANNEL, {
      onMessage: () => void wake(),
      onChange: (live) => void (live && wake()),
    });
    await this.listener.start();
  }

  /** One NOTIFY is under way at most, and never inside anybody's transaction: it costs a commit of its own. */
  announce(): void {
    if (this.sending) {
      this.again = true;
      return;
    }
    this.sending = this.send().finally(() => {
      this.sending = undefined;
      if (!this.again) return;
      this.again = false;
      this.announce();
    });
  }

  async stop(): Promise<void> {
    await this.listener?.stop();
    await this.sending;
  }

  private async send(): Promise<void> {
    await this.database.query(`SELECT pg_notify('${CHANNEL}', '')`).catch(() => undefined);
  }
}
