import type { AttemptOutcome, DeliveryStatus, RetryPolicy } from './delivery.js';

/** How long a delivery waits when nothing was tried and nobody said how long. */
const DEFERRED_MS = 1_000;

/** What is next for a delivery after an attempt; no `nextInMs`: it is finished. */
export interface NextStep {
  status: DeliveryStatus;
  nextInMs: number | null;
}

/**
 * After the attempt with this number since the schedule began (from 1): done, failed for good, or again after the
 * schedule's next step, varied by the jitter, or as long as the receiver asked for, up to twice the step.
 */
export function nextStep(
  policy: RetryPolicy,
  step: number,
  attempt: number,
  outcome: AttemptOutcome,
  random: () => number = Math.random,
): NextStep {
  const { result, retryAfterMs } = outcome;
  if (result === 'sent' || result === 'failed' || result === 'cancelled') return { status: result, nextInMs: null };
  if (result === 'deferred') {
    return {
      status: attempt > 1 ? 'retrying' : 'pending',
      nextInMs: Math.max(0, Math.round(retryAfterMs ?? DEFERRED_MS)),
    };
  }
  const seconds = policy.scheduleSeconds[step - 1];
  if (seconds === undefined) return { status: 'failed', nextInMs: null };
  const varied = seconds * 1_000 * (1 + policy.jitter * (2 * random() - 1));
  const asked = Math.min(retryAfterMs ?? 0, seconds * 2_000);
  return { status: 'retrying', nextInMs: Math.round(Math.max(varied, asked)) };
}
