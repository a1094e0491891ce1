import { setTimeout as delay } from 'node:timers/promises';

/** Claims or records that follow one another in small numbers, while much is going on, come this far apart. */
const GROUP_MS = 4;
const SMALL = 16;
/** And this far while the process has its hands full with other things, such as requests. */
const YIELD_MS = 250;
const SAMPLE_MS = 50;
const BUSY = 0.6;
const MANY_PER_MS = 1;

/**
 * Spaces out statements that would each do little: what comes together goes together. A lone delivery meets no pause,
 * since a pause needs others in flight.
 */
export class Pace {
  private last = { at: 0, amount: Infinity };

  /** Waits until the next statement is worth its cost; `lively`: there is enough going on meanwhile. */
  async turn(lively: boolean, pauseMs = this.last.amount < SMALL ? GROUP_MS : 0): Promise<void> {
    const wait = lively ? this.last.at + pauseMs - performance.now() : 0;
    if (wait > 0) await delay(wait);
  }

  /** A statement is done, for so many. */
  done(amount: number): void {
    this.last = { at: performance.now(), amount };
  }
}

/** Whether this process is at its limit with requests: deliveries then leave them their share. */
export class RequestLoad {
  private sample = performance.eventLoopUtilization();
  private at = performance.now();
  private count: number;
  private busy = false;

  /** `answered` counts what the process has answered so far. */
  constructor(private readonly answered: () => number) {
    this.count = answered();
  }

  /** How long claims and relays should be apart; undefined: as they like. */
  pauseMs(): number | undefined {
    const elapsedMs = performance.now() - this.at;
    if (elapsedMs >= SAMPLE_MS) {
      const now = performance.eventLoopUtilization();
      const { utilization } = performance.eventLoopUtilization(now, this.sample);
      this.busy = utilization > BUSY && this.answered() - this.count > elapsedMs * MANY_PER_MS;
      this.sample = now;
      this.at = performance.now();
      this.count = this.answered();
    }
    return this.busy ? YIELD_MS : undefined;
  }
}
