import {
  Inject,
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { NIL_ID } from '#libs/common';
import { CONFIG, type Config } from '#libs/config';
import { Database } from '#libs/database';
import { Metrics } from '#libs/observability';
import type { DeliveryHandler } from './delivery.js';
import { Deliveries } from './deliveries.js';
import { DeliveriesRepository, type AttemptRecord, type LeasedDelivery } from './deliveries.repository.js';
import { DeliveryMetrics } from './delivery-metrics.js';
import { DeliveryRecorder } from './delivery-recorder.js';
import { InFlight } from './in-flight.js';
import { JOB_ENGINE, type JobEngine } from './job-engine.js';
import { runAttempt } from './run-attempt.js';

/** Attempts of this process at once, and the share of them one tenant may have. */
const CONCURRENCY = 256;
const TENANT_CONCURRENCY = 128;
/** Ended attempts that may wait for their record before new ones are claimed no more. */
const MAX_UNRECORDED = 1_024;
const LOOK_EVERY_MS = 1_000;
/** One in this many claims lets a lower priority go first. */
const LOW_TURN = 8;
const DRAIN_MS = 18_000;
const ABORTED_MS = 2_000;

/**
 * Carries out deliveries: claims what is due as far as it has room, attempts, records. What is due stands in the
 * database; wake-ups only make it look sooner. The handlers are registered while modules start.
 */
@Injectable()
export class DeliveryEngine implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly handlers = new Map<string, DeliveryHandler>();
  private readonly flight = new InFlight();
  private readonly recorder: DeliveryRecorder;
  private readonly metrics: DeliveryMetrics;
  private readonly logger = new Logger('Deliveries');
  private running = false;
  private claiming: Promise<void> | undefined;
  private again = false;
  /** Whether the last claim left something for want of room. */
  private more = false;
  private claims = 0;
  private after = NIL_ID;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly repository: DeliveriesRepository,
    private readonly deliveries: Deliveries,
    @Inject(JOB_ENGINE) private readonly engine: JobEngine,
    @Inject(CONFIG) private readonly config: Config,
    database: Database,
    metrics: Metrics,
  ) {
    this.metrics = new DeliveryMetrics(metrics, repository);
    this.recorder = new DeliveryRecorder(
      database,
      repository,
      (kind) => this.handlers.get(kind)!,
      (records, own) => this.recorded(records, own),
    );
  }

  /** Makes deliveries of the handler's kind happen; called in `onModuleInit`. */
  register(handler: DeliveryHandler): void {
    this.handlers.set(handler.kind, handler);
  }

  async onApplicationBootstrap(): Promise<void> {
    this.deliveries.onDue(() => this.due());
    if (!this.config.jobs || this.handlers.size === 0) return;
    this.running = true;
    await this.engine.start(() => this.look());
    this.look();
  }

  /** Claims no more, lets attempts end, and aborts those that take too long; what is then still leased comes due again. */
  async beforeApplicationShutdown(): Promise<void> {
    this.running = false;
    clearTimeout(this.timer);
    await this.engine.stop();
    await this.claiming;
    if (!(await this.flight.empty(DRAIN_MS))) {
      this.flight.abortAll();
      await this.flight.empty(ABORTED_MS);
    }
    await this.recorder.drained();
  }

  /** Something is due: this process sees to it, or tells the others where it has no room or runs no jobs. */
  private due(): void {
    if (this.running && this.room() > 0) this.look();
    else this.engine.announce();
  }

  private room(): number {
    return this.recorder.depth > MAX_UNRECORDED ? 0 : CONCURRENCY - this.flight.size;
  }

  /** Claims until there is no room or nothing left; calls meanwhile make it look once more. */
  private look(): void {
    if (!this.running) return;
    this.again = true;
    this.claiming ??= this.claimAll().finally(() => {
      this.claiming = undefined;
      if (this.again && this.room() > 0) this.look();
    });
  }

  private async claimAll(): Promise<void> {
    clearTimeout(this.timer);
    let pauseMs = LOOK_EVERY_MS;
    try {
      while (this.running && this.again) {
        this.again = false;
        while (this.running && this.room() > 0 && (await this.claim()) > 0);
      }
      if (this.running && this.flight.size === 0) pauseMs = (await this.repository.nextDueInMs()) ?? pauseMs;
    } catch (error) {
      this.again = false;
      this.logger.warn(`Deliveries could not be claimed: ${error instanceof Error ? error.name : 'unknown'}`);
    }
    if (!this.running) return;
    this.timer = setTimeout(() => this.look(), Math.min(Math.max(pauseMs, 5), LOOK_EVERY_MS)).unref();
  }

  private async claim(): Promise<number> {
    const turn = ++this.claims % LOW_TURN === 0 ? 1 + ((this.claims / LOW_TURN) % 3) : 0;
    const { deliveries, after, more } = await this.repository.claim({
      handlers: [...this.handlers.values()],
      limit: this.room(),
      tenantLimit: TENANT_CONCURRENCY,
      fromPriority: turn,
      after: this.after,
      cursors: this.flight.cursors,
      busy: this.flight.byTenant,
      ended: this.flight.ended(),
    });
    this.after = after ?? NIL_ID;
    this.more = more;
    for (const delivery of deliveries) void this.attempt(delivery);
    return deliveries.length;
  }

  /** Never rejects. */
  private async attempt(delivery: LeasedDelivery): Promise<void> {
    const handler = this.handlers.get(delivery.kind)!;
    const controller = this.flight.begin(delivery);
    const record = await runAttempt(handler, delivery, controller, this.logger);
    this.flight.end(delivery);
    this.recorder.add(record);
    if (this.more) this.look();
  }

  private recorded(records: AttemptRecord[], own: ReadonlySet<AttemptRecord>): void {
    for (const record of records) {
      this.flight.recorded(record.delivery);
      this.metrics.count(record, own.has(record));
    }
    // The next of an order key may go now, and a retry may be due sooner than the next look.
    if (records.some((r) => r.delivery.orderKey !== null || (r.nextInMs ?? LOOK_EVERY_MS) < LOOK_EVERY_MS)) this.look();
  }
}
