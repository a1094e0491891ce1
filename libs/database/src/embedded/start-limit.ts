import { setTimeout as delay } from 'node:timers/promises';
import { EmbeddedPostgresError } from './embedded-postgres.error.js';

const POLL_MS = 10;

/** How long a start may take, and whether somebody has called it off. */
export class StartLimit {
  private readonly endsAt: number;

  constructor(
    timeoutMs: number,
    private readonly signal?: AbortSignal,
  ) {
    this.endsAt = performance.now() + timeoutMs;
  }

  /** Throws when the start was called off. */
  throwIfCancelled(): void {
    if (this.signal?.aborted) throw new EmbeddedPostgresError('The start of the embedded PostgreSQL was called off.');
  }

  /** Asks until the condition holds; answers false when the time is over, and throws when the start was called off. */
  async until(condition: () => boolean | Promise<boolean>): Promise<boolean> {
    for (;;) {
      this.throwIfCancelled();
      if (await condition()) return true;
      if (performance.now() > this.endsAt) return false;
      await delay(POLL_MS);
    }
  }
}
