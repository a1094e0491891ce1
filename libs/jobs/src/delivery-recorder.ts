import { setTimeout as delay } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { ApiError } from '#libs/common';
import { isDatabaseAway, type Database, type Tx } from '#libs/database';
import type { DeliveryHandler, SettledDelivery } from './delivery.js';
import type { AttemptRecord, DeliveriesRepository } from './deliveries.repository.js';
import { Pace } from './pace.js';
import { nextStep } from './retry-policy.js';

const MAX_BATCH = 256;
const RETRY_MS = 200;
/** Records are this far apart while requests need the process. */
const BUSY_MS = 25;

/** Hears of every attempt once it is recorded, or given up since another process has taken over. */
export type OnRecorded = (records: AttemptRecord[], own: ReadonlySet<AttemptRecord>) => void;

/**
 * Writes down attempts that have ended, all that ended while the last record was written in one transaction, together
 * with what their handlers make of them. A lone attempt is recorded at once; while many are in flight, small records
 * wait a few milliseconds for more to share a commit with.
 */
export class DeliveryRecorder {
  private waiting: AttemptRecord[] = [];
  private writing: Promise<void> | undefined;
  private readonly pace = new Pace();
  private readonly logger = new Logger('Deliveries');

  constructor(
    private readonly database: Database,
    private readonly repository: DeliveriesRepository,
    private readonly handlerOf: (kind: string) => DeliveryHandler,
    private readonly onRecorded: OnRecorded,
    /** Whether much is going on here, or the process has its hands full with requests. */
    private readonly isLively: () => boolean | 'busy',
  ) {}

  /** Attempts that wait for the next record. */
  get depth(): number {
    return this.waiting.length;
  }

  /** Takes an ended attempt. */
  add(record: AttemptRecord): void {
    this.waiting.push(record);
    this.writing ??= this.write().finally(() => (this.writing = undefined));
  }

  /** Resolves when everything taken is recorded. */
  async drained(): Promise<void> {
    await this.writing;
  }

  private async write(): Promise<void> {
    while (this.waiting.length > 0) {
      // The next of an order key waits for the record of the one before.
      const lively = this.isLively();
      const patient = this.waiting.every(({ delivery }) => delivery.orderKey === null);
      await this.pace.turn(lively !== false && patient, lively === 'busy' ? BUSY_MS : undefined);
      const batch = this.waiting.splice(0, MAX_BATCH);
      await this.store(batch);
      this.pace.done(batch.length);
    }
  }

  /**
   * Never rejects. While the database is away it goes on trying, however long: nobody can have leased them anew, and what
   * is given up is sent again. When the database is there and does not take them, only as long as a lease may be ours.
   */
  private async store(batch: AttemptRecord[]): Promise<void> {
    for (;;) {
      try {
        const own = await this.database.run((tx) => this.record(tx, batch));
        await this.release(own);
        this.onRecorded(batch, new Set(own));
        return;
      } catch (error) {
        if (error instanceof ApiError && error.status === 503) {
          const kept = batch.filter(({ delivery }) => delivery.leaseUntil.getTime() + 60_000 > Date.now());
          if (kept.length === 0 && !isDatabaseAway(error)) return this.onRecorded(batch, new Set());
          await delay(RETRY_MS);
          continue;
        }
        if (batch.length > 1) {
          // One of them is at fault: alone, it fails alone.
          for (const record of batch) await this.store([record]);
          return;
        }
        this.logger.error(`A ${batch[0]!.delivery.kind} attempt could not be recorded: ${nameOf(error)}`);
        await this.storeBare(batch[0]!);
        return;
      }
    }
  }

  private async record(tx: Tx, batch: AttemptRecord[]): Promise<AttemptRecord[]> {
    const own = await this.repository.record(tx, batch);
    const byKind = new Map<string, SettledDelivery[]>();
    for (const record of own) {
      if (record.outcome.result === 'deferred') continue;
      const { delivery, outcome, status, responseTimeMs, attemptedAt } = record;
      const settled = byKind.get(delivery.kind) ?? [];
      settled.push({ delivery, outcome, status, responseTimeMs, attemptedAt });
      byKind.set(delivery.kind, settled);
    }
    for (const [kind, settled] of byKind) await this.handlerOf(kind).settled?.(tx, settled);
    return own;
  }

  /** The handler's own part fails: the attempt counts as one that may pass, so that it neither repeats at once nor for ever. */
  private async storeBare(record: AttemptRecord): Promise<void> {
    const outcome = {
      result: 'retry',
      errorCode: 'INTERNAL_ERROR',
      error: 'The outcome could not be recorded',
    } as const;
    const { delivery } = record;
    const bare = {
      ...record,
      outcome,
      ...nextStep(this.handlerOf(delivery.kind).policy, delivery.step, delivery.attempt, outcome),
    };
    const own = await this.database.run((tx) => this.repository.record(tx, [bare])).catch(() => []);
    await this.release(own);
    this.onRecorded([record], new Set(own.length > 0 ? [record] : []));
  }

  /** Lets go what waited for the end of these in their order. Never rejects. */
  private async release(records: AttemptRecord[]): Promise<void> {
    const ended = records.filter((r) => r.nextInMs === null && r.delivery.orderKey !== null);
    await this.repository.release(ended.map((r) => r.delivery)).catch((error: unknown) => {
      this.logger.warn(`What comes next in order goes later: ${nameOf(error)}`);
    });
  }
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : 'unknown';
}
