import { Injectable } from '@nestjs/common';
import { NIL_ID } from '#libs/common';
import { Database } from '#libs/database';
import { toLeased, type LeasedDelivery, type LeasedRow, type LeaseTerms } from '#libs/jobs';
import { WEBHOOK_EVENT } from './webhook-deliveries.repository.js';

/** What one pass of the relay did. */
export interface Relayed {
  /** Facts taken. */
  taken: number;
  /** Deliveries made of them. */
  added: number;
  /** The last tenant whose turn it was. */
  after: string;
  /** Whether facts may be left for want of room in the pass. */
  more: boolean;
  /** Those of the deliveries that are leased to this process. */
  leased: LeasedDelivery[];
}

interface RelayedJson {
  taken: number;
  added: number;
  after: string | null;
  more: boolean;
  rows: LeasedRow[];
}

/** How deliveries of events are leased. */
export interface LaneTerms {
  laneConcurrency: number;
  timeoutMs: number;
}

/** Most facts of one pass; their place in it is part of an id and has 14 bits. */
export const RELAY_BATCH = 1_000;

/** How long relayed facts and finished deliveries are kept, for the record and for sending again. */
export const KEPT_DAYS = 30;

// The smallest UUIDv7 of the first instant that is kept: ids are time-ordered, so the primary key finds what is older.
const OLDEST_ID = `(SELECT (left(t, 8) || '-' || right(t, 4) || '-7000-8000-000000000000')::uuid FROM lpad(to_hex(
  floor(extract(epoch FROM now() - interval '${KEPT_DAYS} days') * 1000)::bigint), 12, '0') AS t)`;

/** The queries of the relay. They go over all tenants: it serves everyone. */
@Injectable()
export class EventRelayRepository {
  constructor(private readonly database: Database) {}

  /**
   * Facts that wait → deliveries to the endpoints that hear of them, in one commit; the function says how. Tenants take
   * turns, going on behind `after`. Without terms none is leased. `limit`: most facts, up to {@link RELAY_BATCH}.
   */
  async relay(limit = RELAY_BATCH, after = NIL_ID, terms?: LeaseTerms & LaneTerms): Promise<Relayed> {
    const [row] = await this.database.prepared<{ relayed: RelayedJson }>(
      'relay-events',
      'SELECT relay_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) AS relayed',
      [
        WEBHOOK_EVENT,
        limit,
        after,
        terms?.room ?? 0,
        terms?.tenantLimit ?? 0,
        terms?.laneConcurrency ?? 0,
        terms ? terms.timeoutMs + terms.leaseMarginMs : 0,
        [...(terms?.busy.keys() ?? [])],
        [...(terms?.busy.values() ?? [])],
        terms?.ended ?? [],
        terms?.own ?? [],
        [...(terms?.ahead.keys() ?? [])],
        [...(terms?.ahead.values() ?? [])],
      ],
    );
    const { rows, after: last, ...counts } = row!.relayed;
    return { ...counts, after: last ?? NIL_ID, leased: rows.map(toLeased) };
  }

  /** How long the oldest fact has waited, among up to 100,000; 0: none waits. */
  async oldestSeconds(): Promise<number> {
    const [row] = await this.database.query<{ seconds: number | null }>(
      `SELECT extract(epoch FROM clock_timestamp() - min(created_at))::float8 AS seconds
       FROM (SELECT created_at FROM events WHERE relayed_at IS NULL LIMIT 100000) AS waiting`,
    );
    return Math.max(0, row!.seconds ?? 0);
  }

  /** Forgets finished deliveries past their time, then facts nobody refers to; up to 10,000 of each. */
  async forget(): Promise<number> {
    const deliveries = await this.database.query(
      `DELETE FROM deliveries d USING (
         SELECT o.client_id, o.id FROM clients c CROSS JOIN LATERAL (
           SELECT x.client_id, x.id FROM deliveries x
           WHERE x.client_id = c.id AND x.id < ${OLDEST_ID} AND x.kind = '${WEBHOOK_EVENT}' AND x.stage IS NULL
           ORDER BY x.id LIMIT 10000) o LIMIT 10000) gone
       WHERE d.client_id = gone.client_id AND d.id = gone.id RETURNING d.id`,
    );
    const events = await this.database.query(
      `DELETE FROM events e USING (
         SELECT o.client_id, o.id FROM clients c CROSS JOIN LATERAL (
           SELECT x.client_id, x.id FROM events x
           WHERE x.client_id = c.id AND x.id < ${OLDEST_ID} AND x.relayed_at IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.client_id = x.client_id AND d.source_id = x.id)
           ORDER BY x.id LIMIT 10000) o LIMIT 10000) gone
       WHERE e.client_id = gone.client_id AND e.id = gone.id RETURNING e.id`,
    );
    return Math.max(deliveries.length, events.length);
  }
}
