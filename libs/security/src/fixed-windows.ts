import type { RateLimit } from '#libs/config';
import { rateState, type RateState } from './rate-state.js';

interface Window {
  used: number;
  endsAt: number;
}

/** Fixed windows counted in this process, each from its principal's first request; answers in the same tick. */
export class FixedWindows {
  private readonly windows = new Map<string, Window>();
  private sweepAt = 0;

  constructor(private readonly limit: NonNullable<RateLimit>) {}

  /** Counts one request. */
  count(principal: string, now = Date.now()): RateState {
    if (now >= this.sweepAt) this.sweep(now);
    let window = this.windows.get(principal);
    if (!window || window.endsAt <= now) {
      window = { used: 0, endsAt: now + this.limit.seconds * 1000 };
      this.windows.set(principal, window);
    }
    window.used++;
    return rateState(this.limit.points, window.used, window.endsAt);
  }

  /** Forgets windows that are over, once per window's length. */
  private sweep(now: number): void {
    for (const [principal, { endsAt }] of this.windows) if (endsAt <= now) this.windows.delete(principal);
    this.sweepAt = now + this.limit.seconds * 1000;
  }
}
