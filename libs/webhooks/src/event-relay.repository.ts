import { Injectable } from '@nestjs/common';
import { Database } from '#libs/database';
import { WEBHOOK_EVENT } from './webhook-deliveries.repository.js';

/** What one pass of the relay did. */
export interface Relayed {
  /** Facts taken. */
  taken: number;
  /** Deliveries made of them. */
  added: number;
}

/**
 * Facts that wait → deliveries to the endpoints that hear of them, and the facts marked: one statement, so a crash leaves
 * both or neither. Relays do not wait for one another (SKIP LOCKED). $1: most facts.
 *
 * The facts of a room are relayed in their order, whatever the number of relays: positions are taken under the lock of
 * the room's counters, so the committed facts of a room are always a run without gaps, and a fact with an earlier one
 * of its room in the hands of another relay is left for the next pass ("held": the few waiting facts before ours).
 * The ids of the deliveries are UUIDv7 by the database's clock, read after that of whoever relayed the room before,
 * and by the place in the batch: within an endpoint and room, id order is the order of the facts.
 */
const RELAY = `
WITH due AS MATERIALIZED (
  SELECT client_id, id, event, room_id, position FROM events WHERE relayed_at IS NULL
  ORDER BY position LIMIT $1 FOR UPDATE SKIP LOCKED
), held AS MATERIALIZED (
  SELECT x.client_id, x.room_id, min(x.position) AS position
  FROM events x LEFT JOIN due d ON d.position = x.position
  WHERE x.relayed_at IS NULL AND x.room_id IS NOT NULL AND x.position < (SELECT max(position) FROM due)
    AND d.position IS NULL
  GROUP BY 1, 2
), taken AS MATERIALIZED (
  SELECT d.*, row_number() OVER (ORDER BY d.position)::integer AS n FROM due d
  WHERE NOT EXISTS (SELECT 1 FROM held h WHERE h.client_id = d.client_id AND h.room_id = d.room_id AND h.position < d.position)
), marked AS (
  UPDATE events e SET relayed_at = clock_timestamp() FROM taken t WHERE e.client_id = t.client_id AND e.id = t.id
), clock AS MATERIALIZED (
  SELECT floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS us
), stamp AS MATERIALIZED (
  SELECT lpad(to_hex(us / 1000), 12, '0') AS ms, lpad(to_hex((us % 1000) * 4), 3, '0') AS rest FROM clock
), added AS (
  INSERT INTO deliveries (client_id, id, kind, source_id, lane, target, subject, priority, order_key, status, stage,
    next_attempt_at, created_at, updated_at)
  SELECT t.client_id,
    (left(s.ms, 8) || '-' || right(s.ms, 4) || '-7' || s.rest || '-' || to_hex(32768 + t.n) || '-' ||
      right(gen_random_uuid()::text, 12))::uuid,
    '${WEBHOOK_EVENT}', t.id, w.id::text, w.url, t.event, 2, CASE WHEN w.ordered THEN t.room_id::text END,
    'pending', 'ready', now(), now(), now()
  FROM taken t JOIN webhook_endpoints w ON w.client_id = t.client_id AND w.is_active
    AND w.events && ARRAY[t.event::text, split_part(t.event, '.', 1) || '.*', '*']
    AND (w.room_ids = '{}' OR t.room_id = ANY (w.room_ids))
  CROSS JOIN stamp s
  ORDER BY t.n
  RETURNING 1
)
SELECT (SELECT count(*) FROM taken) AS taken, (SELECT count(*) FROM added) AS added`;

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

  /** Relays up to {@link RELAY_BATCH} facts in one commit. */
  async relay(limit = RELAY_BATCH): Promise<Relayed> {
    const [row] = await this.database.prepared<Relayed>('relay-events', RELAY, [limit]);
    return row!;
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
