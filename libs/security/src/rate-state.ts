/** State of a window after a request was counted in it. */
export interface RateState {
  limit: number;
  remaining: number;
  /** Unix seconds when the window ends. */
  resetAt: number;
  exceeded: boolean;
}

/** The state as the headers of an answer. */
export function rateHeaders({ limit, remaining, resetAt }: RateState): Record<string, number> {
  return { 'X-RateLimit-Limit': limit, 'X-RateLimit-Remaining': remaining, 'X-RateLimit-Reset': resetAt };
}

/** The state of a window of `limit` in which `used` were counted and that ends at `endsAt` (ms). */
export function rateState(limit: number, used: number, endsAt: number): RateState {
  return { limit, remaining: Math.max(0, limit - used), resetAt: Math.ceil(endsAt / 1000), exceeded: used > limit };
}
