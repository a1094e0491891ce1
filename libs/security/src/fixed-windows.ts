import type { RateLimit } from '#libs/config';
import { rateState, type RateState } from './rate-state.js';

/** As far as the two clocks may part before the date of a window's end is told anew. */
const CLOCK_SET_MS = 1_000;

interface Window {
  used: number;
  /** By the clock that nobody sets. */
  endsAt: number;
  /** The same as a date, for who is told. */
  endsOn: number;
}

/**
 * Fixed windows counted in this process, each from its principal's first request; answers in the same tick. A window is
 * as long as it is, whatever the clock is set to meanwhile.
 */
export class FixedWindows {
  private readonly windows = new Map<string, Window>();
  private sweepAt = 0;

  constructor(private readonly limit: NonNullable<RateLimit>) {}

  /** Counts one request, `now` by `performance.now()`. */
  count(principal: string, now = performance.now(), date = Date.now()): RateState {
    const lengthMs = this.limit.seconds * 1000;
    if (now >= this.sweepAt) this.sweep(now, lengthMs);
    let window = this.windows.get(principal);
    if (!window || window.endsAt <= now) {
      window = { used: 0, endsAt: now + lengthMs, endsOn: date + lengthMs };
      this.windows.set(principal, window);
    }
    window.used++;
    const endsOn = date + window.endsAt - now;
    if (Math.abs(endsOn - window.endsOn) > CLOCK_SET_MS) window.endsOn = endsOn;
    return rateState(this.limit.points, window.used, window.endsOn);
  }

  /** Forgets windows that are over, once per window's length. */
  private sweep(now: number, lengthMs: number): void {
    for (const [principal, { endsAt }] of this.windows) if (endsAt <= now) this.windows.delete(principal);
    this.sweepAt = now + lengthMs;
  }
}
