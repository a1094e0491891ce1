import type { Logger } from '@nestjs/common';
import { isDatabaseAway } from '#libs/database';
import type { AttemptOutcome, DeliveryHandler } from './delivery.js';
import type { AttemptRecord, LeasedDelivery } from './deliveries.repository.js';
import { StoppingError } from './in-flight.js';
import { nextStep } from './retry-policy.js';

/** What a handler that ignores its signal gets on top of its time. */
const GRACE_MS = 2_000;

/** One attempt within its time, and what is next for the delivery. Never rejects. */
export async function runAttempt(
  handler: DeliveryHandler,
  delivery: LeasedDelivery,
  controller: AbortController,
  logger: Logger,
): Promise<AttemptRecord> {
  const attemptedAt = new Date();
  const started = performance.now();
  const outcome = await attemptInTime(handler, delivery, controller, logger);
  return {
    delivery,
    outcome,
    ...nextStep(handler.policy, delivery.step, delivery.attempt, outcome),
    responseTimeMs: Math.round(performance.now() - started),
    attemptedAt,
  };
}

/** What is recorded of a delivery that was leased and did not have its turn: nothing was tried, and it can go at once. */
export function givenBack({ policy }: DeliveryHandler, delivery: LeasedDelivery): AttemptRecord {
  const outcome = { result: 'deferred', retryAfterMs: 0 } as const;
  const next = nextStep(policy, delivery.step, delivery.attempt, outcome);
  return { delivery, outcome, ...next, responseTimeMs: 0, attemptedAt: new Date() };
}

async function attemptInTime(
  handler: DeliveryHandler,
  delivery: LeasedDelivery,
  controller: AbortController,
  logger: Logger,
): Promise<AttemptOutcome> {
  let late: NodeJS.Timeout | undefined;
  const timedOut = new Promise<AttemptOutcome>((resolve) => {
    late = setTimeout(() => {
      controller.abort(new Error('The attempt took too long'));
      const outcome = { result: 'retry', errorCode: 'TIMEOUT', error: 'The attempt took too long' } as const;
      late = setTimeout(() => resolve(outcome), GRACE_MS);
    }, handler.timeoutMs);
  });
  try {
    return await Promise.race([handler.attempt(delivery, controller.signal), timedOut]);
  } catch (error) {
    if (isDatabaseAway(error)) return { result: 'deferred' };
    if (controller.signal.reason instanceof StoppingError) return { result: 'deferred', retryAfterMs: 0 };
    if (controller.signal.aborted) {
      return { result: 'retry', errorCode: 'TIMEOUT', error: 'The attempt was cut off' };
    }
    logger.error(`A ${delivery.kind} attempt failed by a defect: ${describe(error)}`);
    return { result: 'retry', errorCode: 'INTERNAL_ERROR', error: 'The attempt failed by a defect of the server' };
  } finally {
    clearTimeout(late);
  }
}

/** Name and place of a defect; its message may hold what must not be logged. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const place = error.stack?.split('\n').find((line) => line.startsWith('    at '));
  return `${error.name}${place ?? ''}`;
}
