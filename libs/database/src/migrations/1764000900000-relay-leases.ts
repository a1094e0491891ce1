import type { MigrationInterface, QueryRunner } from 'typeorm';
import { LOG_SENDS } from './1764000100000-store-messages.js';
import { CLAIM_AHEAD } from './1764000700000-delivery-ahead.js';
import { replacing } from './replacing.js';

// See the migration of the first claim.
const tenantOf = (row: string): string => `nullif(${row}client_id, '00000000-0000-0000-0000-000000000000')`;

const INDEX = `
DROP INDEX events_waiting_idx;
-- What the relay has still to do: it skips from tenant to tenant, and takes the oldest of each.
CREATE INDEX events_waiting_idx ON events ((${tenantOf('')}), position) WHERE relayed_at IS NULL;
`;

// Facts that wait become deliveries to the endpoints that hear of them, and are marked: one statement, so a crash leaves
// both or neither. Relays do not wait for one another (SKIP LOCKED).
//
// Tenants are served in turn, each with its share of the limit, so a flood of one does not hold up the others.
//
// The facts of a room are relayed in their order, whatever the number of relays: positions are taken under the lock of
// the room's counters, so the committed facts of a room are always a run without gaps, and a fact with an earlier one
// of its room in the hands of another relay is left for the next pass ("held": the few waiting facts before ours).
// The ids of the deliveries are UUIDv7 by the database's clock, read after that of whoever relayed the room before,
// and by the place in the batch: within an endpoint and room, id order is the order of the facts.
//
// What this process has room for is born leased to it, which saves the claim; the terms are those of a claim, and under
// its lock. Where others wait in the lane already, or an order is to be kept, the claim decides whose turn it is.
export const RELAY = `
CREATE FUNCTION relay_events(
  p_kind text, p_limit integer, p_after uuid, p_room integer, p_tenant_limit integer, p_lane_limit integer, p_lease_ms integer,
  p_busy_clients uuid[], p_busy_counts integer[], p_ended uuid[], p_own uuid[],
  p_ahead_lanes text[], p_ahead_limits integer[]
) RETURNS json LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
  v_now timestamptz(3);
  v_client uuid := p_after;
  v_next_client uuid;
  v_wrapped boolean := p_after = '00000000-0000-0000-0000-000000000000';
  v_tenants uuid[] := '{}';
  v_quota integer;
  v_answer json;
BEGIN
  IF p_room > 0 THEN
    PERFORM pg_advisory_xact_lock(7226852);
  END IF;
  v_now := clock_timestamp();
  LOOP
    SELECT e.client_id INTO v_next_client FROM events e
    WHERE e.relayed_at IS NULL AND ${tenantOf('e.')} > v_client ORDER BY ${tenantOf('e.')} LIMIT 1;
    IF NOT FOUND THEN
      EXIT WHEN v_wrapped;
      v_wrapped := true;
      v_client := '00000000-0000-0000-0000-000000000000';
      CONTINUE;
    END IF;
    EXIT WHEN v_next_client = ANY (v_tenants);
    v_client := v_next_client;
    v_tenants := v_tenants || v_client;
    EXIT WHEN cardinality(v_tenants) >= least(p_limit, 64);
  END LOOP;
  v_quota := ceil(p_limit::numeric / greatest(cardinality(v_tenants), 1));

  WITH due AS MATERIALIZED (
    SELECT e.* FROM unnest(v_tenants) AS t (client_id) CROSS JOIN LATERAL (
      SELECT client_id, id, event, room_id, position FROM events
      WHERE relayed_at IS NULL AND ${tenantOf('')} = t.client_id
      ORDER BY position LIMIT v_quota FOR UPDATE SKIP LOCKED
    ) e
  ), held AS MATERIALIZED (
    SELECT x.client_id, x.room_id, min(x.position) AS position
    FROM (SELECT client_id, max(position) AS last FROM due GROUP BY 1) ours
    JOIN events x ON x.relayed_at IS NULL AND ${tenantOf('x.')} = ours.client_id AND x.position < ours.last
    LEFT JOIN due d ON d.position = x.position
    WHERE x.room_id IS NOT NULL AND d.position IS NULL
    GROUP BY 1, 2
  ), taken AS MATERIALIZED (
    SELECT d.*, row_number() OVER (ORDER BY d.position)::integer AS n FROM due d
    WHERE NOT EXISTS (SELECT 1 FROM held h WHERE h.client_id = d.client_id AND h.room_id = d.room_id AND h.position < d.position)
  ), marked AS (
    UPDATE events e SET relayed_at = v_now FROM taken t WHERE e.client_id = t.client_id AND e.id = t.id
  ), stamp AS MATERIALIZED (
    SELECT lpad(to_hex(us / 1000), 12, '0') AS ms, lpad(to_hex((us % 1000) * 4), 3, '0') AS rest
    FROM (SELECT floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS us) clock
  ), fresh AS MATERIALIZED (
    SELECT t.client_id, t.id AS source_id, t.event, t.n, w.id::text AS lane, w.url,
      CASE WHEN w.ordered THEN t.room_id::text END AS order_key
    FROM taken t JOIN webhook_endpoints w ON w.client_id = t.client_id AND w.is_active
      AND w.events && ARRAY[t.event::text, split_part(t.event, '.', 1) || '.*', '*']
      AND (w.room_ids = '{}' OR t.room_id = ANY (w.room_ids))
  ), lanes AS MATERIALIZED (
    SELECT l.client_id, l.lane,
      CASE WHEN leases.foreign_count > 0 THEN p_lane_limit ELSE coalesce(ahead.n, p_lane_limit) END - leases.count AS room,
      p_tenant_limit - coalesce(busy.n, 0) AS tenant_room
    FROM (SELECT DISTINCT f.client_id, f.lane FROM fresh f WHERE f.order_key IS NULL AND p_room > 0) l
    CROSS JOIN LATERAL (
      SELECT count(*), count(*) FILTER (WHERE d.id <> ALL (p_own)) AS foreign_count FROM deliveries d
      WHERE d.stage = 'leased' AND ${tenantOf('d.')} = l.client_id AND d.lane = l.lane AND d.id <> ALL (p_ended)
    ) leases
    LEFT JOIN unnest(p_ahead_lanes, p_ahead_limits) AS ahead (name, n) ON ahead.name = l.client_id || ' ' || l.lane
    LEFT JOIN unnest(p_busy_clients, p_busy_counts) AS busy (client_id, n) ON busy.client_id = l.client_id
    WHERE NOT EXISTS (
      SELECT 1 FROM deliveries d WHERE d.stage = 'ready' AND ${tenantOf('d.')} = l.client_id AND d.lane = l.lane
    )
  ), ranked AS (
    SELECT f.*, l.tenant_room, f.order_key IS NULL
      AND row_number() OVER (PARTITION BY f.client_id, f.lane, f.order_key ORDER BY f.n) <= coalesce(l.room, 0) AS fits
    FROM fresh f LEFT JOIN lanes l ON l.client_id = f.client_id AND l.lane = f.lane
  ), by_tenant AS (
    SELECT r.*, r.fits
      AND count(*) FILTER (WHERE r.fits) OVER (PARTITION BY r.client_id ORDER BY r.n, r.lane) <= r.tenant_room AS allowed
    FROM ranked r
  ), placed AS (
    SELECT t.*, t.allowed AND count(*) FILTER (WHERE t.allowed) OVER (ORDER BY t.n, t.lane) <= p_room AS leased
    FROM by_tenant t
  ), added AS (
    INSERT INTO deliveries (client_id, id, kind, source_id, lane, target, subject, priority, order_key, status, stage,
      lease_until, next_attempt_at, created_at, updated_at)
    SELECT p.client_id,
      (left(s.ms, 8) || '-' || right(s.ms, 4) || '-7' || s.rest || '-' || to_hex(32768 + p.n) || '-' ||
        right(gen_random_uuid()::text, 12))::uuid,
      p_kind, p.source_id, p.lane, p.url, p.event, 2, p.order_key,
      CASE WHEN p.leased THEN 'processing' ELSE 'pending' END, CASE WHEN p.leased THEN 'leased' ELSE 'ready' END,
      CASE WHEN p.leased THEN v_now + p_lease_ms * interval '1 millisecond' END,
      CASE WHEN p.leased THEN v_now + p_lease_ms * interval '1 millisecond' ELSE v_now END, v_now, v_now
    FROM placed p CROSS JOIN stamp s
    ORDER BY p.n
    RETURNING client_id, id, kind, source_id, lane, target, order_key, created_at, lease_until
  )
  SELECT json_build_object(
    'after', v_tenants[cardinality(v_tenants)],
    'more', cardinality(v_tenants) >= 64 OR EXISTS (SELECT 1 FROM due GROUP BY client_id HAVING count(*) >= v_quota),
    'taken', (SELECT count(*) FROM taken), 'added', (SELECT count(*) FROM added),
    'rows', (SELECT coalesce(json_agg(json_build_object(
      'client_id', a.client_id, 'id', a.id, 'kind', a.kind, 'source_id', a.source_id, 'lane', a.lane, 'target', a.target,
      'order_key', a.order_key, 'attempt', 1, 'step', 1, 'created_at', (extract(epoch FROM a.created_at) * 1000)::bigint,
      'lease_until', (extract(epoch FROM a.lease_until) * 1000)::bigint) ORDER BY a.id), '[]')
      FROM added a WHERE a.lease_until IS NOT NULL)
  ) INTO v_answer;
  RETURN v_answer;
END $$;
`;

// With the stage in the join, the plan may read all that is ready for each row that is claimed: the queue's index looks
// small to a planner that knows little. OFFSET 0 keeps the stage out of the look-up by key.
const JOINED = `
      SELECT c.client_id, c.id FROM unnest(v_clients, v_ids) AS u (client_id, id)
      JOIN deliveries c ON c.client_id = u.client_id AND c.id = u.id
      WHERE c.stage = 'ready' FOR UPDATE OF c SKIP LOCKED`;
const BY_KEY = `
      SELECT u.client_id, u.id FROM unnest(v_clients, v_ids) AS u (client_id, id)
      CROSS JOIN LATERAL (
        SELECT c.stage FROM deliveries c WHERE c.client_id = u.client_id AND c.id = u.id OFFSET 0 FOR UPDATE SKIP LOCKED
      ) AS locked
      WHERE locked.stage = 'ready'`;

/** The claim, whose rows are looked up by key. */
export const CLAIM_BY_KEY = replacing(CLAIM_AHEAD, JOINED, BY_KEY);

// The same trap: with both arrays to choose from, the plan may read all messages of the tenant.
const STORED = `
  FROM messages x JOIN clients k ON k.id = x.client_id
  LEFT JOIN users u ON u.client_id = x.client_id AND u.id = x.sender_id
  WHERE x.client_id = ANY (p_client) AND x.id = ANY (p_id)
    AND EXISTS (SELECT 1 FROM webhook_endpoints w
      WHERE w.client_id = x.client_id AND w.is_active AND w.events && ARRAY['message.created', 'message.*', '*'])`;
const STORED_BY_KEY = `
  FROM clients k CROSS JOIN unnest(p_id) AS i (id)
  CROSS JOIN LATERAL (SELECT m.* FROM messages m WHERE m.client_id = k.id AND m.id = i.id OFFSET 0) AS x
  LEFT JOIN users u ON u.client_id = x.client_id AND u.id = x.sender_id
  WHERE k.id = ANY (p_client)
    AND EXISTS (SELECT 1 FROM webhook_endpoints w
      WHERE w.client_id = k.id AND w.is_active AND w.events && ARRAY['message.created', 'message.*', '*'])`;

/** The relay of facts, whose deliveries are leased to who relays them as far as it has room. */
export class RelayLeases1764000900000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(INDEX);
    await runner.query(RELAY);
    await runner.query(CLAIM_BY_KEY);
    await runner.query(replacing(LOG_SENDS, STORED, STORED_BY_KEY));
    // Planned each time: a plan that a session made on small tables would read all messages of the tenant later.
    await runner.query('ALTER FUNCTION log_sends SET plan_cache_mode = force_custom_plan');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP FUNCTION relay_events');
    await runner.query('DROP INDEX events_waiting_idx');
    await runner.query('CREATE INDEX events_waiting_idx ON events (position) WHERE relayed_at IS NULL');
    await runner.query(replacing(CLAIM_AHEAD, JOINED, JOINED));
    await runner.query(replacing(LOG_SENDS, STORED, STORED));
    await runner.query('ALTER FUNCTION log_sends RESET plan_cache_mode');
  }
}
