import {
  Inject,
  Injectable,
  Logger,
  Optional,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { NIL_ID } from '#libs/common';
import { CONFIG, type Config } from '#libs/config';
import { Database } from '#libs/database';
import { Metrics } from '#libs/observability';
import { PRIORITIES, type DeliveryHandler } from './delivery.js';
import { Deliveries } from './deliveries.js';
import {
  DeliveriesRepository,
  type AttemptRecord,
  type LeasedDelivery,
  type LeaseTerms,
} from './deliveries.repository.js';
import { DeliveryMetrics } from './delivery-metrics.js';
import { DeliveryRecorder } from './delivery-recorder.js';
import { InFlight } from './in-flight.js';
import { Lanes } from './lanes.js';
import { JOB_ENGINE, type JobEngine } from './job-engine.js';
import { Pace, RequestLoad } from './pace.js';
import { givenBack, runAttempt } from './run-attempt.js';

/** What an engine is set to; tests set other values. */
export interface EngineSettings {
  /** Attempts of this process at once. */
  concurrency: number;
  /** Those of one tenant: the rest stays free for the others. */
  tenantConcurrency: number;
  /** How often it looks by itself, whatever wakes it. */
  lookEveryMs: number;
  /** What a lease has over the handler's time, for the record to be written. */
  leaseMarginMs: number;
}

/** The settings of a process. */
export const ENGINE_SETTINGS: EngineSettings = {
  concurrency: 512,
  tenantConcurrency: 256,
  lookEveryMs: 1_000,
  leaseMarginMs: 10_000,
};

/** Injection token of {@link EngineSettings}, where they are not the usual. */
export const SETTINGS = Symbol('EngineSettings');

/** Ended attempts that may wait for their record before new ones are claimed no more. */
const MAX_UNRECORDED = 1_024;
/** For each delivery of the last claim, the chance that the next lets what has waited long go first, whatever its
 * priority. At random, so that no rhythm of lanes or tenants can miss it for ever. */
const LOW_TURNS = 0.02;
/** Share of the lease's margin for which a delivery may wait for its turn. */
const HOLD_SHARE = 0.2;
/** From so many in flight on, claims and records wait a moment for others to share them with. */
const LIVELY = 8;
/** How much a claim takes at most while the process has its hands full. */
const YIELD_LIMIT = 128;
/** So many that wait for their turn are plenty for the moment. */
const SUPPLY = 64;
/** How soon it looks again when there is more, and enough at hand for the moment. */
const MORE_MS = 20;
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
  private readonly lanes: Lanes;
  private readonly pace = new Pace();
  private readonly load: RequestLoad;
  private readonly recorder: DeliveryRecorder;
  private readonly metrics: DeliveryMetrics;
  private readonly logger = new Logger('Deliveries');
  private running = false;
  private claiming: Promise<void> | undefined;
  /** What leases, one statement at a time: each is told what the one before it has taken. */
  private leasing: Promise<unknown> = Promise.resolve();
  private readonly waitingForRoom = new Set<() => void>();
  private again = false;
  /** Whether the last claim left something for want of room. */
  private more = false;
  private lastClaim = LIVELY;
  private after = NIL_ID;
  private timer: NodeJS.Timeout | undefined;
  private holdTimer: NodeJS.Timeout | undefined;

  constructor(
    private readonly repository: DeliveriesRepository,
    private readonly deliveries: Deliveries,
    @Inject(JOB_ENGINE) private readonly engine: JobEngine,
    @Inject(CONFIG) private readonly config: Config,
    database: Database,
    metrics: Metrics,
    @Optional() @Inject(SETTINGS) private readonly settings: EngineSettings = ENGINE_SETTINGS,
  ) {
    this.load = new RequestLoad(() => metrics.answered);
    this.lanes = new Lanes(this.holdMs);
    this.metrics = new DeliveryMetrics(metrics, repository);
    this.recorder = new DeliveryRecorder(
      database,
      repository,
      (kind) => this.handlers.get(kind)!,
      (records, own) => this.recorded(records, own),
      () => (this.load.pauseMs() === undefined ? this.flight.size >= LIVELY : 'busy'),
    );
  }

  /** Makes deliveries of the handler's kind happen; called in `onModuleInit`. */
  register(handler: DeliveryHandler): void {
    this.handlers.set(handler.kind, handler);
  }

  /**
   * Runs a statement that inserts deliveries and leases some of them to this process under these terms; their attempts
   * begin as if they had been claimed. Rejects as the statement does.
   */
  leaseWith(insert: (terms: LeaseTerms) => Promise<LeasedDelivery[]>): Promise<void> {
    return this.oneAtATime(async () => this.take(await insert(this.terms(this.running ? this.room() : 0))));
  }

  /** How long work for new deliveries should wait, and how many are enough, while requests need the process. */
  yielding(): { pauseMs: number; limit: number } | undefined {
    const pauseMs = this.load.pauseMs();
    return pauseMs === undefined ? undefined : { pauseMs, limit: YIELD_LIMIT };
  }

  /** Resolves when little waits for its turn, or after that long. */
  async roomy(ms: number): Promise<void> {
    if (this.isRoomy()) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.waitingForRoom.delete(done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.waitingForRoom.add(done);
    });
  }

  async onApplicationBootstrap(): Promise<void> {
    this.deliveries.onDue(() => this.due());
    if (!this.config.jobs || this.handlers.size === 0) return;
    this.running = true;
    await this.engine.start(() => this.look());
    void this.look();
  }

  /** Claims no more, lets attempts end, and aborts those that take too long; what is then still leased comes due again. */
  async beforeApplicationShutdown(): Promise<void> {
    this.running = false;
    clearTimeout(this.timer);
    await this.engine.stop();
    await this.claiming;
    await this.leasing;
    clearTimeout(this.holdTimer);
    for (const delivery of this.lanes.takeLate(true)) this.giveBack(delivery);
    if (!(await this.flight.empty(DRAIN_MS))) {
      this.flight.abortAll();
      await this.flight.empty(ABORTED_MS);
    }
    await this.recorder.drained();
  }

  /** Something is due: this process sees to it, or tells the others where it has no room or runs no jobs. */
  private due(): void {
    if (this.running && this.room() > 0) {
      void this.look();
      return;
    }
    this.more = true;
    this.engine.announce();
  }

  private get holdMs(): number {
    return this.settings.leaseMarginMs * HOLD_SHARE;
  }

  private room(): number {
    return this.recorder.depth > MAX_UNRECORDED ? 0 : this.settings.concurrency - this.flight.size;
  }

  /** Claims until there is no room or nothing left; calls meanwhile make it look once more. Never rejects. */
  private look(): Promise<void> {
    if (!this.running) return Promise.resolve();
    this.again = true;
    this.claiming ??= this.claimAll().finally(() => {
      this.claiming = undefined;
      if (this.again && this.room() > 0) void this.look();
    });
    return this.claiming;
  }

  private async claimAll(): Promise<void> {
    clearTimeout(this.timer);
    const { lookEveryMs } = this.settings;
    let pauseMs = lookEveryMs;
    try {
      while (this.running && this.again) {
        this.again = false;
        while (this.running && this.room() > 0 && (await this.claim()) > 0 && !this.isSupplied());
      }
      if (this.more && this.isSupplied()) pauseMs = MORE_MS;
      if (this.running && this.flight.size === 0) {
        const dueInMs = (await this.repository.nextDueInMs(this.flight.ended())) ?? pauseMs;
        // What is due and was not claimed is in another's hands for the moment.
        pauseMs = dueInMs < 0 ? MORE_MS : dueInMs;
      }
    } catch (error) {
      this.again = false;
      this.logger.warn(`Deliveries could not be claimed: ${error instanceof Error ? error.name : 'unknown'}`);
    }
    if (!this.running) return;
    this.timer = setTimeout(() => void this.look(), Math.min(Math.max(pauseMs, 5), lookEveryMs)).unref();
  }

  /** Whether enough is at hand for the moment; lanes that run low make it look again. */
  private isSupplied(): boolean {
    return this.lanes.held >= SUPPLY / 2;
  }

  private async claim(): Promise<number> {
    const pauseMs = this.load.pauseMs();
    await this.pace.turn(this.flight.size >= LIVELY, pauseMs);
    if (!this.running) return 0;
    const { deliveries, after, more } = await this.oneAtATime(async () => {
      const room = Math.min(this.room(), pauseMs === undefined ? Infinity : YIELD_LIMIT);
      const claim = await this.repository.claim({
        ...this.terms(room),
        handlers: [...this.handlers.values()],
        turn: Math.random() < LOW_TURNS * this.lastClaim ? Math.ceil(Math.random() * (PRIORITIES.length - 1)) : 0,
        after: this.after,
        cursors: this.flight.cursors,
      });
      this.take(claim.deliveries);
      return claim;
    });
    this.pace.done(deliveries.length);
    this.lastClaim = Math.max(deliveries.length, LIVELY);
    this.after = after ?? NIL_ID;
    this.more = more;
    return deliveries.length;
  }

  private oneAtATime<T>(work: () => Promise<T>): Promise<T> {
    const run = this.leasing.then(work);
    this.leasing = run.catch(() => undefined);
    return run;
  }

  private terms(room: number): LeaseTerms {
    return {
      room: Math.max(0, room),
      tenantLimit: this.settings.tenantConcurrency,
      leaseMarginMs: this.settings.leaseMarginMs,
      busy: this.flight.byTenant,
      ended: this.flight.ended(),
      own: this.flight.own(),
      ahead: this.lanes.ahead(),
    };
  }

  private take(deliveries: LeasedDelivery[]): void {
    for (const [kind, leased] of byKind(deliveries)) this.handlers.get(kind)!.leased?.(leased);
    for (const delivery of deliveries) {
      this.flight.lease(delivery);
      this.lanes.add(delivery, this.handlers.get(delivery.kind)!.laneConcurrency);
      this.beginNext(delivery);
    }
    this.watchHeld();
  }

  private beginNext(of: LeasedDelivery): void {
    const next = this.lanes.next(of);
    if (next) void this.attempt(next);
  }

  /** Never rejects. */
  private async attempt(delivery: LeasedDelivery): Promise<void> {
    const handler = this.handlers.get(delivery.kind)!;
    const controller = this.flight.begin(delivery);
    const started = performance.now();
    const record = await runAttempt(handler, delivery, controller, this.logger);
    this.flight.end(delivery);
    this.lanes.ended(delivery, performance.now() - started);
    this.recorder.add(record);
    this.giveBackLate();
    this.beginNext(delivery);
    if (this.more && this.lanes.isLow(delivery)) void this.look();
    if (this.waitingForRoom.size > 0 && this.isRoomy()) for (const done of this.waitingForRoom) done();
  }

  /** Little waits for its turn: the next are fetched while the last are still attempted. */
  private isRoomy(): boolean {
    return this.lanes.held <= SUPPLY;
  }

  /** What has waited for its turn too long is left to whoever has room; its lease would not last for an attempt. */
  private giveBackLate(): void {
    for (const delivery of this.lanes.takeLate()) this.giveBack(delivery);
  }

  private watchHeld(): void {
    if (this.holdTimer || this.lanes.held === 0) return;
    this.holdTimer = setTimeout(() => {
      this.holdTimer = undefined;
      this.giveBackLate();
      this.watchHeld();
    }, this.holdMs).unref();
  }

  private giveBack(delivery: LeasedDelivery): void {
    this.flight.end(delivery);
    this.recorder.add(givenBack(this.handlers.get(delivery.kind)!, delivery));
  }

  private recorded(records: AttemptRecord[], own: ReadonlySet<AttemptRecord>): void {
    for (const record of records) {
      this.flight.recorded(record.delivery);
      this.metrics.count(record, own.has(record));
    }
    // The next of an order key may go now, and a retry may be due sooner than the next look. Nothing in flight: claims
    // have waited for this record.
    const soon = (r: AttemptRecord): boolean =>
      r.delivery.orderKey !== null || (r.nextInMs ?? Infinity) < this.settings.lookEveryMs;
    if (records.some(soon) || (this.more && this.flight.size === 0)) void this.look();
  }
}

function byKind(deliveries: readonly LeasedDelivery[]): Map<string, LeasedDelivery[]> {
  const groups = new Map<string, LeasedDelivery[]>();
  for (const delivery of deliveries) {
    const group = groups.get(delivery.kind);
    if (group) group.push(delivery);
    else groups.set(delivery.kind, [delivery]);
  }
  return groups;
}
