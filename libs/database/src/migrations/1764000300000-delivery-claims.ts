import type { MigrationInterface, QueryRunner } from 'typeorm';

// The tenant, as the queue's indexes have it and no others do. So no plan, however little it knows of the table, can read
// the queue through an index that holds the finished deliveries too.
const tenantOf = (row: string): string => `nullif(${row}client_id, '00000000-0000-0000-0000-000000000000')`;

const TABLE = `
DROP INDEX deliveries_due_idx;
ALTER TABLE deliveries
  -- What it is about, such as the name of an event: for filters.
  ADD COLUMN subject varchar(64),
  -- Where it stands in the queue: waiting (for its time), ready, leased, behind (another of its order key); null: finished.
  ADD COLUMN stage varchar(8),
  -- Attempts made before its schedule started anew.
  ADD COLUMN attempt_base integer NOT NULL DEFAULT 0;
UPDATE deliveries SET stage = CASE WHEN lease_until IS NULL THEN 'waiting' ELSE 'leased' END WHERE next_attempt_at IS NOT NULL;
-- A queue: many rows pass through few pages, so what is dead is cleared away early.
ALTER TABLE deliveries SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);

-- Everything in it can go now: a claim skips from tenant to tenant and from lane to lane and never meets what must wait.
CREATE INDEX deliveries_ready_idx ON deliveries ((${tenantOf('')}), lane, priority, next_attempt_at, id) WHERE stage = 'ready';
-- What comes due by itself: scheduled, retrying, and leases that may run out.
CREATE INDEX deliveries_timed_idx ON deliveries (next_attempt_at) WHERE stage <> 'ready';
CREATE INDEX deliveries_leased_idx ON deliveries ((${tenantOf('')}), lane) WHERE stage = 'leased';
CREATE INDEX deliveries_ordered_idx ON deliveries ((${tenantOf('')}), lane, order_key, id) WHERE order_key IS NOT NULL AND stage IS NOT NULL;
-- The deliveries of one webhook endpoint, newest first.
CREATE INDEX deliveries_lane_idx ON deliveries (client_id, lane, id) WHERE kind = 'webhook';
`;

// One claim at a time over all processes: limits and order keys are then exact, and a claim is a few milliseconds. Each
// statement of the function sees what was committed when it starts, so the lock comes first. A claim that is lost with
// the database is due again like any other, so its commit does not wait for the disk.
export const CLAIM_DELIVERIES = `
CREATE FUNCTION claim_deliveries(
  p_kinds text[], p_lane_limits integer[], p_lease_ms integer[],
  p_limit integer, p_tenant_limit integer, p_turn integer, p_after uuid,
  p_cursor_clients uuid[], p_cursor_lanes text[],
  p_busy_clients uuid[], p_busy_counts integer[],
  p_ended uuid[]
) RETURNS json LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
  SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_now timestamptz(3);
  v_client uuid := p_after;
  v_next_client uuid;
  v_wrapped boolean := false;
  v_busy integer;
  v_tenants uuid[] := '{}';
  v_tenant_rooms integer[] := '{}';
  v_left integer := p_limit;
  v_quota integer;
  v_start text;
  v_lane text;
  v_next_lane text;
  v_kind text;
  v_room integer;
  v_lanes text[];
  v_lane_rooms integer[];
  v_take integer;
  v_found uuid[];
  v_clients uuid[] := '{}';
  v_ids uuid[] := '{}';
  v_row record;
  v_before timestamptz;
  v_keys text[];
  v_rows json;
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  PERFORM pg_advisory_xact_lock(7226852);
  v_now := clock_timestamp();

  UPDATE deliveries d SET stage = 'ready'
  FROM (
    SELECT t.client_id, t.id FROM deliveries t WHERE t.stage <> 'ready' AND t.next_attempt_at <= v_now
    ORDER BY t.next_attempt_at LIMIT 500 FOR UPDATE SKIP LOCKED
  ) due
  WHERE d.client_id = due.client_id AND d.id = due.id;

  -- The tenants whose turn it is. Those at their limit are passed over.
  FOR i IN 1..1000 LOOP
    SELECT d.client_id INTO v_next_client FROM deliveries d
    WHERE d.stage = 'ready' AND ${tenantOf('d.')} > v_client ORDER BY ${tenantOf('d.')} LIMIT 1;
    IF NOT FOUND THEN
      EXIT WHEN v_wrapped;
      v_wrapped := true;
      v_client := '00000000-0000-0000-0000-000000000000';
      CONTINUE;
    END IF;
    EXIT WHEN v_wrapped AND v_next_client > p_after;
    v_client := v_next_client;
    SELECT b.n INTO v_busy FROM unnest(p_busy_clients, p_busy_counts) AS b (client_id, n) WHERE b.client_id = v_client;
    IF coalesce(v_busy, 0) < p_tenant_limit THEN
      v_tenants := v_tenants || v_client;
      v_tenant_rooms := v_tenant_rooms || (p_tenant_limit - coalesce(v_busy, 0));
      EXIT WHEN cardinality(v_tenants) >= least(p_limit, 64);
    END IF;
  END LOOP;

  FOR t IN 1..cardinality(v_tenants) LOOP
    EXIT WHEN v_left <= 0;
    v_client := v_tenants[t];
    v_quota := least(v_tenant_rooms[t], ceil(v_left::numeric / (cardinality(v_tenants) - t + 1)));
    -- The tenant's lanes, going on after the one served last.
    SELECT c.lane INTO v_start FROM unnest(p_cursor_clients, p_cursor_lanes) AS c (client_id, lane)
    WHERE c.client_id = v_client;
    v_start := coalesce(v_start, '');
    v_lane := v_start;
    v_wrapped := v_start = '';
    v_lanes := '{}';
    v_lane_rooms := '{}';
    FOR i IN 1..1000 LOOP
      SELECT d.lane, d.kind INTO v_next_lane, v_kind FROM deliveries d
      WHERE d.stage = 'ready' AND ${tenantOf('d.')} = v_client AND d.lane > v_lane ORDER BY d.lane LIMIT 1;
      IF NOT FOUND THEN
        EXIT WHEN v_wrapped;
        v_wrapped := true;
        v_lane := '';
        CONTINUE;
      END IF;
      EXIT WHEN v_wrapped AND v_start <> '' AND v_next_lane > v_start;
      v_lane := v_next_lane;
      -- Attempts that have ended and are about to be recorded no longer load the receiver.
      SELECT k.n - (
        SELECT count(*) FROM deliveries d
        WHERE d.stage = 'leased' AND ${tenantOf('d.')} = v_client AND d.lane = v_lane AND d.id <> ALL (p_ended)
      ) INTO v_room FROM unnest(p_kinds, p_lane_limits) AS k (kind, n) WHERE k.kind = v_kind;
      IF v_room > 0 THEN
        v_lanes := v_lanes || v_lane;
        v_lane_rooms := v_lane_rooms || v_room;
        EXIT WHEN cardinality(v_lanes) >= least(v_quota, 16);
      END IF;
    END LOOP;

    FOR l IN 1..cardinality(v_lanes) LOOP
      EXIT WHEN v_quota <= 0;
      v_lane := v_lanes[l];
      v_take := least(v_lane_rooms[l], ceil(v_quota::numeric / (cardinality(v_lanes) - l + 1)));
      v_found := '{}';
      v_keys := '{}';
      -- By priority; but when it is a lower one's turn, what has waited long there goes first, so that none starves.
      FOR v_row IN
        (SELECT d.id, d.order_key FROM deliveries d
         WHERE d.stage = 'ready' AND ${tenantOf('d.')} = v_client AND d.lane = v_lane AND d.priority = p_turn
           AND d.next_attempt_at <= v_now - interval '5 seconds'
         ORDER BY d.priority, d.next_attempt_at, d.id LIMIT 1)
        UNION ALL
        (SELECT d.id, d.order_key FROM deliveries d
         WHERE d.stage = 'ready' AND ${tenantOf('d.')} = v_client AND d.lane = v_lane
         ORDER BY d.priority, d.next_attempt_at, d.id LIMIT v_take + 100)
      LOOP
        CONTINUE WHEN v_row.id = ANY (v_found);
        -- Of one order key only the first may go, and only alone. The others come back when it has ended.
        IF v_row.order_key IS NOT NULL THEN
          SELECT min(o.next_attempt_at) FILTER (WHERE o.id < v_row.id OR o.stage = 'leased') INTO v_before
          FROM (
            (SELECT o.id, o.stage, o.next_attempt_at FROM deliveries o
             WHERE ${tenantOf('o.')} = v_client AND o.lane = v_lane AND o.order_key = v_row.order_key AND o.stage IS NOT NULL
             ORDER BY o.id LIMIT 1)
            UNION ALL
            (SELECT o.id, o.stage, o.next_attempt_at FROM deliveries o
             WHERE o.stage = 'leased' AND ${tenantOf('o.')} = v_client AND o.lane = v_lane AND o.order_key = v_row.order_key)
          ) AS o;
          IF v_before IS NOT NULL OR v_row.order_key = ANY (v_keys) THEN
            UPDATE deliveries d
            SET stage = 'behind', next_attempt_at = greatest(v_now + interval '15 seconds', v_before)
            WHERE d.client_id = v_client AND d.id = v_row.id;
            CONTINUE;
          END IF;
          v_keys := v_keys || v_row.order_key::text;
        END IF;
        v_found := v_found || v_row.id;
        EXIT WHEN cardinality(v_found) >= v_take;
      END LOOP;
      v_ids := v_ids || v_found;
      v_clients := v_clients || array_fill(v_client, ARRAY[cardinality(v_found)]);
      v_quota := v_quota - cardinality(v_found);
      v_left := v_left - cardinality(v_found);
    END LOOP;
  END LOOP;

  WITH claimed AS (
    UPDATE deliveries d
    SET stage = 'leased', status = 'processing', updated_at = v_now,
      lease_until = v_now + k.ms * interval '1 millisecond', next_attempt_at = v_now + k.ms * interval '1 millisecond'
    FROM (
      SELECT c.client_id, c.id FROM unnest(v_clients, v_ids) AS u (client_id, id)
      JOIN deliveries c ON c.client_id = u.client_id AND c.id = u.id
      WHERE c.stage = 'ready' FOR UPDATE OF c SKIP LOCKED
    ) x, unnest(p_kinds, p_lease_ms) AS k (kind, ms)
    WHERE d.client_id = x.client_id AND d.id = x.id AND k.kind = d.kind
    RETURNING d.*
  )
  SELECT json_agg(json_build_object(
    'client_id', c.client_id, 'id', c.id, 'kind', c.kind, 'source_id', c.source_id, 'lane', c.lane, 'target', c.target,
    'order_key', c.order_key, 'attempt', c.attempt_count + 1, 'step', c.attempt_count - c.attempt_base + 1,
    'created_at', (extract(epoch FROM c.created_at) * 1000)::bigint, 'lease_until', (extract(epoch FROM c.lease_until) * 1000)::bigint
  ) ORDER BY c.priority, c.id) INTO v_rows FROM claimed c;
  RETURN json_build_object(
    'rows', coalesce(v_rows, '[]'), 'after', v_tenants[cardinality(v_tenants)],
    'more', EXISTS (SELECT 1 FROM deliveries d WHERE d.stage = 'ready' AND ${tenantOf('d.')} > '00000000-0000-0000-0000-000000000000')
  );
END $$;
`;

const DOWN = `
DROP FUNCTION claim_deliveries;
DROP INDEX deliveries_ready_idx, deliveries_timed_idx, deliveries_leased_idx, deliveries_ordered_idx, deliveries_lane_idx;
ALTER TABLE deliveries RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold);
ALTER TABLE deliveries DROP COLUMN subject, DROP COLUMN stage, DROP COLUMN attempt_base;
CREATE INDEX deliveries_due_idx ON deliveries (client_id, lane, priority, next_attempt_at) WHERE next_attempt_at IS NOT NULL;
`;

/** Where a delivery stands in the queue, and the claim that serves tenants and lanes in turn. */
export class DeliveryClaims1764000300000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(TABLE);
    await runner.query(CLAIM_DELIVERIES);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(DOWN);
  }
}
