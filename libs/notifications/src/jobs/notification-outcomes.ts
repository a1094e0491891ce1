import type { Config } from '#libs/config';
import type { AttemptOutcome, RetryPolicy } from '#libs/jobs';

/** How every notification is tried: the configured steps, each varied by ±10 %. */
export function retryPolicy(config: Config): RetryPolicy {
  return { scheduleSeconds: config.notificationRetrySeconds, jitter: 0.1 };
}

/** The notification was erased while its delivery was waiting. */
export function gone(): AttemptOutcome {
  return { result: 'failed', errorCode: 'NOTIFICATION_GONE', error: 'The notification no longer exists' };
}
