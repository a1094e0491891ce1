import type { Tx } from '#libs/database';

/** How urgent a delivery is; the engine serves higher ones first and never starves the low. */
export const PRIORITIES = ['urgent', 'high', 'normal', 'low'] as const;
/** One of {@link PRIORITIES}. */
export type Priority = (typeof PRIORITIES)[number];

/** Where a delivery stands. */
export const DELIVERY_STATUSES = ['pending', 'processing', 'retrying', 'sent', 'failed', 'cancelled'] as const;
/** One of {@link DELIVERY_STATUSES}. */
export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

/** A delivery to be committed with its cause. */
export interface NewDelivery {
  id: string;
  clientId: string;
  /** Names the {@link DeliveryHandler}. */
  kind: string;
  /** The notification or event it comes from. */
  sourceId: string;
  /**
   * What shares a limit of concurrency and must not hold others up: an endpoint's id, "email", a host. At most 64
   * characters; the same name of two tenants are two lanes.
   */
  lane: string;
  /** Who gets it: an address, a user, a URL. At most 2,048 characters. */
  target: string;
  priority: Priority;
  /** Deliveries of one lane with the same key go strictly one after another, in the order of their ids. */
  orderKey?: string;
  /** What it is about, such as the name of an event; lists filter by it. At most 64 characters. */
  subject?: string;
  /** Not before; left out: now. */
  dueAt?: Date;
}

/** A delivery this process has leased for one attempt. */
export interface ClaimedDelivery extends Required<
  Pick<NewDelivery, 'id' | 'clientId' | 'kind' | 'sourceId' | 'lane' | 'target'>
> {
  /** Number of this attempt, from 1. */
  attempt: number;
  createdAt: Date;
}

/** What an attempt came to. */
export interface AttemptOutcome {
  /**
   * `sent`: done. `retry`: may pass. `failed`: never will. `deferred`: later, and `cancelled`: never, since it is not
   * wanted any more; of these two nothing was tried, and the number does not count.
   */
  result: 'sent' | 'retry' | 'failed' | 'deferred' | 'cancelled';
  /** Stable code of the failure, such as SMTP_REFUSED. */
  errorCode?: string;
  /** For people; no secret, content or address. At most 500 characters. */
  error?: string;
  /** The receiver asked to wait this long; honoured up to twice the step of the schedule. */
  retryAfterMs?: number;
  /** Name of the provider that was used. */
  providerName?: string;
  /** The provider's own id of the message. */
  providerMessageId?: string;
  /** What the receiver answered. */
  statusCode?: number;
  responseHeaders?: Record<string, string>;
  /** The first 16 KiB of the answer. */
  responseBody?: string;
}

/** An attempt with what became of its delivery, about to be recorded. */
export interface SettledDelivery {
  delivery: ClaimedDelivery;
  outcome: AttemptOutcome;
  /** The delivery's status now: sent, failed, cancelled, or retrying. */
  status: DeliveryStatus;
  responseTimeMs: number;
  attemptedAt: Date;
}

/** How often and when a kind of delivery is tried. */
export interface RetryPolicy {
  /** Seconds before the second, third … attempt; one attempt more than entries. */
  scheduleSeconds: readonly number[];
  /** Share by which each step varies at random, such as 0.1. */
  jitter: number;
}

/** Carries out one kind of delivery. */
export interface DeliveryHandler {
  kind: string;
  policy: RetryPolicy;
  /** Deliveries of one lane in flight at once, over all processes as far as the engine can tell. */
  laneConcurrency: number;
  /** Longest an attempt may take; the lease is this and a margin. */
  timeoutMs: number;
  /** These have just been leased, together: what their attempts will read can be read for all at once. Must not throw. */
  leased?(deliveries: readonly ClaimedDelivery[]): void;
  /**
   * One attempt. What it throws is a defect: logged, and tried again as `retry`. But a database that is away defers it,
   * so nothing may have been sent when that is thrown.
   */
  attempt(delivery: ClaimedDelivery, signal: AbortSignal): Promise<AttemptOutcome>;
  /** In the transaction that records the attempts: what else follows (counters, statuses, facts). */
  settled?(tx: Tx, settled: SettledDelivery[]): Promise<void>;
}
