import type { MigrationInterface, QueryRunner } from 'typeorm';
import { CLAIM_DELIVERIES } from './1764000300000-delivery-claims.js';

// See the migration of the first claim.
const tenantOf = (row: string): string => `nullif(${row}client_id, '00000000-0000-0000-0000-000000000000')`;

// The claim, which may now lease more of a lane than its limit to a process that asks for it, as long as it alone has
// leases there: it holds them until their turn comes. Either one process has leases in a lane, and attempts no more of
// them at once than the limit, or there are no more leases than the limit.
export const CLAIM_AHEAD = `
CREATE FUNCTION claim_deliveries(
  p_kinds text[], p_lane_limits integer[], p_lease_ms integer[],
  p_limit integer, p_tenant_limit integer, p_turn integer, p_after uuid,
  p_cursor_clients uuid[], p_cursor_lanes text[],
  p_busy_clients uuid[], p_busy_counts integer[],
  p_ended uuid[],
  p_own uuid[], p_ahead_lanes text[], p_ahead_limits integer[]
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
  v_leased integer;
  v_foreign integer;
  v_ahead integer;
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
      SELECT count(*), count(*) FILTER (WHERE d.id <> ALL (p_own)) INTO v_leased, v_foreign FROM deliveries d
      WHERE d.stage = 'leased' AND ${tenantOf('d.')} = v_client AND d.lane = v_lane AND d.id <> ALL (p_ended);
      v_room := p_lane_limits[array_position(p_kinds, v_kind)] - v_leased;
      v_ahead := array_position(p_ahead_lanes, v_client || ' ' || v_lane);
      IF v_ahead IS NOT NULL AND v_foreign = 0 THEN
        v_room := p_ahead_limits[v_ahead] - v_leased;
      END IF;
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

// A function, for its settings: a plan that was made while the table was small would read all of it later.
// The lease decides, so an attempt is written only where its delivery was.
export const RECORD = `
CREATE FUNCTION record_attempts(
  p_clients uuid[], p_ids uuid[], p_leases timestamptz[], p_statuses text[], p_counted boolean[], p_next_in_ms bigint[],
  p_error_codes text[], p_errors text[], p_attempts integer[], p_results text[], p_providers text[],
  p_provider_ids text[], p_status_codes smallint[], p_headers jsonb[], p_bodies text[], p_times integer[],
  p_attempted_at timestamptz[]
) RETURNS text[] LANGUAGE plpgsql SET enable_seqscan = off SET enable_bitmapscan = off
  SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_own text[];
BEGIN
  WITH x AS MATERIALIZED (
    SELECT * FROM unnest(p_clients, p_ids, p_leases, p_statuses, p_counted, p_next_in_ms, p_error_codes, p_errors,
      p_attempts, p_results, p_providers, p_provider_ids, p_status_codes, p_headers, p_bodies, p_times, p_attempted_at)
      AS x (client_id, id, lease_until, status, counted, next_in_ms, error_code, error, attempt, result, provider_name,
        provider_message_id, status_code, response_headers, response_body, response_time_ms, attempted_at)
  ), updated AS (
    UPDATE deliveries d
    SET status = x.status, attempt_count = d.attempt_count + x.counted::integer, lease_until = NULL,
      stage = CASE WHEN x.next_in_ms IS NOT NULL THEN 'waiting' END,
      next_attempt_at = now() + x.next_in_ms * interval '1 millisecond',
      finished_at = CASE WHEN x.next_in_ms IS NULL THEN now() END,
      error_code = x.error_code, error = x.error, updated_at = now()
    FROM x
    WHERE d.client_id = x.client_id AND d.id = x.id AND d.lease_until = x.lease_until AND d.stage IS NOT NULL
    RETURNING x.*
  ), noted AS (
    INSERT INTO delivery_attempts (client_id, delivery_id, attempt_number, status, error_code, error, provider_name,
      provider_message_id, status_code, response_headers, response_body, response_time_ms, attempted_at)
    SELECT u.client_id, u.id, u.attempt, u.result, u.error_code, u.error, u.provider_name, u.provider_message_id,
      u.status_code, u.response_headers, u.response_body, u.response_time_ms, u.attempted_at
    FROM updated u WHERE u.counted
  )
  SELECT array_agg(u.client_id || ' ' || u.id) INTO v_own FROM updated u;
  RETURN coalesce(v_own, '{}');
END $$;
`;

const OLD_CLAIM =
  'claim_deliveries(text[], integer[], integer[], integer, integer, integer, uuid, uuid[], text[], uuid[], integer[], uuid[])';

/** Claims ahead of fast lanes, and the record of attempts in one statement. */
export class DeliveryAhead1764000700000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP FUNCTION ${OLD_CLAIM}`);
    await runner.query(CLAIM_AHEAD);
    await runner.query(RECORD);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP FUNCTION record_attempts');
    await runner.query('DROP FUNCTION claim_deliveries');
    await runner.query(CLAIM_DELIVERIES);
  }
}
