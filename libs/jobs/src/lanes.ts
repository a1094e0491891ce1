import { laneKey, type LeasedDelivery } from './deliveries.repository.js';

/** So much work of a lane is leased ahead, if its attempts are as short as lately. */
const AHEAD_MS = 100;
const MAX_AHEAD = 32;
const MAX_LANES = 256;

interface Lane {
  /** Attempts at once. */
  limit: number;
  running: number;
  /** Leased, waiting for their turn. */
  held: { delivery: LeasedDelivery; since: number }[];
  /** How long attempts have taken lately; undefined: nothing is known. */
  attemptMs: number | undefined;
}

/**
 * The lanes this process has leases in, and the turn of each lease. Lanes whose attempts are short are leased ahead,
 * so that the next attempt begins as soon as one ends; what has waited for its turn too long is given back.
 */
export class Lanes {
  private readonly lanes = new Map<string, Lane>();

  constructor(private readonly holdMs: number) {}

  /** Deliveries that wait for their turn. */
  get held(): number {
    let count = 0;
    for (const lane of this.lanes.values()) count += lane.held.length;
    return count;
  }

  /** Takes a lease; it has its turn by {@link next}. */
  add(delivery: LeasedDelivery, limit: number): void {
    const key = laneKey(delivery);
    const lane = this.lanes.get(key) ?? { limit, running: 0, held: [], attemptMs: undefined };
    this.lanes.delete(key);
    this.lanes.set(key, lane);
    lane.held.push({ delivery, since: performance.now() });
    if (this.lanes.size > MAX_LANES) this.forgetOne();
  }

  /** The one of the lane that may begin now. */
  next(of: LeasedDelivery): LeasedDelivery | undefined {
    const lane = this.lanes.get(laneKey(of))!;
    if (lane.running >= lane.limit) return undefined;
    const first = lane.held.shift();
    if (first) lane.running++;
    return first?.delivery;
  }

  /** An attempt has ended. */
  ended(delivery: LeasedDelivery, tookMs: number): void {
    const lane = this.lanes.get(laneKey(delivery))!;
    lane.running--;
    lane.attemptMs = lane.attemptMs === undefined ? tookMs : lane.attemptMs * 0.8 + tookMs * 0.2;
  }

  /** Whether the lane will soon have nothing to begin with. */
  isLow(delivery: LeasedDelivery): boolean {
    const { held, limit } = this.lanes.get(laneKey(delivery))!;
    return held.length <= 2 * limit;
  }

  /** How much may be leased of the lanes whose attempts are short. */
  ahead(): Map<string, number> {
    const ahead = new Map<string, number>();
    for (const [key, { limit, attemptMs }] of this.lanes) {
      const factor = Math.min(MAX_AHEAD, Math.floor(AHEAD_MS / Math.max(attemptMs ?? Infinity, 1)));
      if (factor > 1) ahead.set(key, limit * factor);
    }
    return ahead;
  }

  /** Takes out what has waited too long, or everything that waits. Such lanes are leased ahead no more for now. */
  takeLate(everything = false): LeasedDelivery[] {
    const since = performance.now() - this.holdMs;
    const late: LeasedDelivery[] = [];
    for (const lane of this.lanes.values()) {
      while (lane.held.length > 0 && (everything || lane.held[0]!.since <= since)) {
        late.push(lane.held.shift()!.delivery);
        lane.attemptMs = undefined;
      }
    }
    return late;
  }

  private forgetOne(): void {
    for (const [key, lane] of this.lanes) {
      if (lane.running > 0 || lane.held.length > 0) continue;
      this.lanes.delete(key);
      return;
    }
  }
}
