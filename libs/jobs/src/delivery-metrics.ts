import { Counter, Histogram } from 'prom-client';
import type { Metrics } from '#libs/observability';
import type { AttemptRecord, DeliveriesRepository, QueueState } from './deliveries.repository.js';

/** Deliveries in figures. */
export class DeliveryMetrics {
  private readonly attempts: Counter<'kind' | 'outcome'>;
  private readonly duration: Histogram<'kind'>;
  private state: Promise<QueueState> | undefined;

  constructor(
    metrics: Metrics,
    private readonly repository: DeliveriesRepository,
  ) {
    this.attempts = new Counter({
      name: 'chatapi_delivery_attempts_total',
      help: 'Attempts of this process by kind and outcome: sent, retry, failed (for good), deferred, cancelled, lost (taken over by another)',
      labelNames: ['kind', 'outcome'],
      registers: [metrics.registry],
    });
    this.duration = new Histogram({
      name: 'chatapi_delivery_attempt_duration_seconds',
      help: 'Time of an attempt',
      labelNames: ['kind'],
      buckets: [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 15, 30],
      registers: [metrics.registry],
    });
    metrics.gauge('chatapi_deliveries_due', 'Deliveries that can go now, of all processes, counted up to 100,000', () =>
      this.queue().then(({ due }) => due),
    );
    metrics.gauge('chatapi_deliveries_oldest_due_seconds', 'How long the oldest of them has been due', () =>
      this.queue().then(({ oldestSeconds }) => oldestSeconds),
    );
  }

  /** Counts an attempt that was recorded, or lost to another process. */
  count({ delivery, outcome, status, responseTimeMs }: AttemptRecord, isOwn: boolean): void {
    const result = outcome.result === 'retry' && status === 'failed' ? 'failed' : outcome.result;
    this.attempts.inc({ kind: delivery.kind, outcome: isOwn ? result : 'lost' });
    this.duration.observe({ kind: delivery.kind }, responseTimeMs / 1_000);
  }

  /** One query for both gauges of a scrape. */
  private queue(): Promise<QueueState> {
    this.state ??= this.repository.queueState().finally(() => (this.state = undefined));
    return this.state;
  }
}
