import { Injectable } from '@nestjs/common';
import { Database, type Tx } from '#libs/database';
import type { AttemptOutcome, ClaimedDelivery, DeliveryHandler, DeliveryStatus } from './delivery.js';

/** A claimed delivery with what its record needs. */
export interface LeasedDelivery extends ClaimedDelivery {
  orderKey: string | null;
  /** Number of the attempt since the schedule began, from 1. */
  step: number;
  /** Tells this lease from any other of the same delivery. */
  leaseUntil: Date;
}

/** What this process may lease, as a statement that leases is told. */
export interface LeaseTerms {
  /** Deliveries it has room for. */
  room: number;
  tenantLimit: number;
  /** What a lease has over the handler's time. */
  leaseMarginMs: number;
  /** Deliveries leased here whose attempt has not ended, by tenant. */
  busy: ReadonlyMap<string, number>;
  /** Deliveries whose attempt has ended here and is not recorded yet. */
  ended: readonly string[];
  /** Deliveries leased by this process whose attempt has not ended. */
  own: readonly string[];
  /** How much of a lane this process may lease if it alone has leases there, where that is more than the lane's limit. */
  ahead: ReadonlyMap<string, number>;
}

/** What a claim is told about this process. */
export interface ClaimRequest extends LeaseTerms {
  handlers: readonly DeliveryHandler[];
  /** A priority whose turn it is: one of it that has waited long goes first in each lane; 0: none. */
  turn: number;
  /** The tenant served last; the next one has its turn. */
  after: string;
  /** The lane served last, by tenant. */
  cursors: ReadonlyMap<string, string>;
}

/** Names a lane among those of all tenants. */
export function laneKey({ clientId, lane }: { clientId: string; lane: string }): string {
  return `${clientId} ${lane}`;
}

/** What a claim got. */
export interface Claim {
  deliveries: LeasedDelivery[];
  /** The last tenant whose turn it was. */
  after: string | null;
  /** Whether something that could go by its time is left, for want of room. */
  more: boolean;
}

/** An ended attempt and what is next for its delivery. */
export interface AttemptRecord {
  delivery: LeasedDelivery;
  outcome: AttemptOutcome;
  status: DeliveryStatus;
  /** Null: finished. */
  nextInMs: number | null;
  responseTimeMs: number;
  attemptedAt: Date;
}

/** How much waits. */
export interface QueueState {
  /** Deliveries that can go now, counted up to 100,000. */
  due: number;
  /** Seconds the oldest of them has been due. */
  oldestSeconds: number;
}

/** A leased delivery as the functions that lease write it. */
export interface LeasedRow {
  client_id: string;
  id: string;
  kind: string;
  source_id: string;
  lane: string;
  target: string;
  order_key: string | null;
  attempt: number;
  step: number;
  created_at: number;
  lease_until: number;
}

/** The engine's queries: over all tenants, since the queue is one. */
@Injectable()
export class DeliveriesRepository {
  constructor(private readonly database: Database) {}

  /** Leases deliveries that are due, tenants and lanes in turn, within every limit. */
  async claim(request: ClaimRequest): Promise<Claim> {
    const { handlers, cursors, busy, ended, own, ahead } = request;
    const [row] = await this.database.prepared<{ claim: { rows: LeasedRow[]; after: string | null; more: boolean } }>(
      'claim_deliveries',
      'SELECT claim_deliveries($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) AS claim',
      [
        handlers.map((h) => h.kind),
        handlers.map((h) => h.laneConcurrency),
        handlers.map((h) => h.timeoutMs + request.leaseMarginMs),
        request.room,
        request.tenantLimit,
        request.turn,
        request.after,
        [...cursors.keys()],
        [...cursors.values()],
        [...busy.keys()],
        [...busy.values()],
        ended,
        own,
        [...ahead.keys()],
        [...ahead.values()],
      ],
    );
    const { rows, after, more } = row!.claim;
    return { deliveries: rows.map(toLeased), after, more };
  }

  /** Milliseconds until something but these comes due by itself, less than 0 when it has; undefined: nothing will. */
  async nextDueInMs(but: readonly string[]): Promise<number | undefined> {
    const [row] = await this.database.query<{ ms: number | null }>(
      `SELECT (extract(epoch FROM next_attempt_at - clock_timestamp()) * 1000)::float8 AS ms
       FROM deliveries WHERE stage <> 'ready' AND id <> ALL ($1) ORDER BY next_attempt_at LIMIT 1`,
      [but],
    );
    return row?.ms ?? undefined;
  }

  /**
   * Records attempts and what is next, of those deliveries whose lease is still the attempt's own; answers which they
   * are. Another process may have taken over the rest, and what it records is the truth.
   */
  async record(tx: Tx, records: readonly AttemptRecord[]): Promise<AttemptRecord[]> {
    const [row] = await tx.prepared<{ own: string[] }>(
      'record_attempts',
      'SELECT record_attempts($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) AS own',
      recordParams([...records].sort(byKey)),
    );
    const own = new Set(row!.own);
    return records.filter(({ delivery }) => own.has(`${delivery.clientId} ${delivery.id}`));
  }

  /**
   * Lets the next one of each order key go, where it was held by nothing but what has ended. Comes after the commit of
   * that end and takes its turn among the claims: one that still saw the delivery leased has put the next one behind by
   * then. Without it, the next one goes by itself some time later.
   */
  async release(ended: readonly { clientId: string; lane: string; orderKey: string | null }[]): Promise<void> {
    if (ended.length === 0) return;
    await this.database.prepared('release_deliveries', 'SELECT release_deliveries($1, $2, $3)', [
      ended.map((e) => e.clientId),
      ended.map((e) => e.lane),
      ended.map((e) => e.orderKey),
    ]);
  }

  /** How much can go now. */
  async queueState(): Promise<QueueState> {
    const [row] = await this.database.query<{ due: number; oldest: number | null }>(
      `SELECT count(*) AS due, extract(epoch FROM clock_timestamp() - min(next_attempt_at))::float8 AS oldest
       FROM (SELECT next_attempt_at FROM deliveries WHERE stage = 'ready' LIMIT 100000) AS ready`,
    );
    return { due: row!.due, oldestSeconds: Math.max(0, row!.oldest ?? 0) };
  }
}

/** The order in which deliveries are locked by whoever locks many. */
function byKey({ delivery: a }: AttemptRecord, { delivery: b }: AttemptRecord): number {
  return compare(a.clientId, b.clientId) || compare(a.id, b.id);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function recordParams(records: readonly AttemptRecord[]): unknown[] {
  return [
    records.map((r) => r.delivery.clientId),
    records.map((r) => r.delivery.id),
    records.map((r) => r.delivery.leaseUntil),
    records.map((r) => r.status),
    // Whether something was tried.
    records.map((r) => r.outcome.result !== 'deferred' && r.outcome.result !== 'cancelled'),
    records.map((r) => r.nextInMs),
    records.map((r) => r.outcome.errorCode?.slice(0, 64) ?? null),
    records.map((r) => r.outcome.error?.slice(0, 500) ?? null),
    records.map((r) => r.delivery.attempt),
    records.map((r) => (r.outcome.result === 'sent' ? 'sent' : 'failed')),
    records.map((r) => r.outcome.providerName?.slice(0, 64) ?? null),
    records.map((r) => r.outcome.providerMessageId?.slice(0, 255) ?? null),
    records.map((r) => r.outcome.statusCode ?? null),
    records.map((r) => (r.outcome.responseHeaders ? JSON.stringify(r.outcome.responseHeaders) : null)),
    // PostgreSQL's text holds no NUL; what a receiver answers may.
    records.map((r) => r.outcome.responseBody?.replaceAll('\0', '\uFFFD') ?? null),
    records.map((r) => r.responseTimeMs),
    records.map((r) => r.attemptedAt),
  ];
}

/** Of a row of the database. */
export function toLeased(row: LeasedRow): LeasedDelivery {
  return {
    id: row.id,
    clientId: row.client_id,
    kind: row.kind,
    sourceId: row.source_id,
    lane: row.lane,
    target: row.target,
    orderKey: row.order_key,
    attempt: row.attempt,
    step: row.step,
    createdAt: new Date(row.created_at),
    leaseUntil: new Date(row.lease_until),
  };
}
