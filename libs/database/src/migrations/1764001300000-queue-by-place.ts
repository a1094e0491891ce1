import type { MigrationInterface, QueryRunner } from 'typeorm';
import { CLAIM_AHEAD, RECORD } from './1764000700000-delivery-ahead.js';
import { CLAIM_BY_KEY } from './1764000900000-relay-leases.js';
import { LEAN_RELAY } from './1764001100000-lean-relay.js';
import { replacing } from './replacing.js';

// An UPDATE that joins may read the whole table and compare each row with each that is meant: to a planner that has last
// seen the queue empty, a hundred thousand rows are as cheap as one. So rows are locked by key first, where OFFSET 0 keeps
// the look-up what it is, and then written where they are (ctid): locked, they stay there until this transaction ends.
// These functions have no other way to a row than its place. Nothing else may be done in them: a foreign key's own
// look-up, planned here, would be planned without its index for as long as the session lasts.
const PLACES = 'SET enable_seqscan = off SET enable_indexscan = off SET enable_bitmapscan = off';
const BY_PLACE = `
CREATE FUNCTION ready_deliveries(p_places tid[]) RETURNS void LANGUAGE plpgsql ${PLACES} AS $$
BEGIN
  UPDATE deliveries d SET stage = 'ready' WHERE d.ctid = ANY (p_places);
END $$;

CREATE FUNCTION lease_deliveries(p_places tid[], p_now timestamptz, p_kinds text[], p_lease_ms integer[])
RETURNS json LANGUAGE plpgsql ${PLACES} AS $$
DECLARE
  v_rows json;
BEGIN
  WITH claimed AS (
    UPDATE deliveries d
    SET stage = 'leased', status = 'processing', updated_at = p_now,
      lease_until = p_now + p_lease_ms[array_position(p_kinds, d.kind::text)] * interval '1 millisecond',
      next_attempt_at = p_now + p_lease_ms[array_position(p_kinds, d.kind::text)] * interval '1 millisecond'
    WHERE d.ctid = ANY (p_places) AND d.kind = ANY (p_kinds)
    RETURNING d.*
  )
  SELECT json_agg(json_build_object(
    'client_id', c.client_id, 'id', c.id, 'kind', c.kind, 'source_id', c.source_id, 'lane', c.lane, 'target', c.target,
    'order_key', c.order_key, 'attempt', c.attempt_count + 1, 'step', c.attempt_count - c.attempt_base + 1,
    'created_at', (extract(epoch FROM c.created_at) * 1000)::bigint, 'lease_until', (extract(epoch FROM c.lease_until) * 1000)::bigint
  ) ORDER BY c.priority, c.id) INTO v_rows FROM claimed c;
  RETURN coalesce(v_rows, '[]');
END $$;

CREATE FUNCTION settle_deliveries(
  p_places tid[], p_statuses text[], p_counted boolean[], p_next_in_ms bigint[], p_error_codes text[], p_errors text[]
) RETURNS void LANGUAGE plpgsql ${PLACES} AS $$
BEGIN
  UPDATE deliveries d
  SET status = x.status, attempt_count = d.attempt_count + x.counted::integer, lease_until = NULL,
    stage = CASE WHEN x.next_in_ms IS NOT NULL THEN 'waiting' END,
    next_attempt_at = now() + x.next_in_ms * interval '1 millisecond',
    finished_at = CASE WHEN x.next_in_ms IS NULL THEN now() END,
    error_code = x.error_code, error = x.error, updated_at = now()
  FROM unnest(p_places, p_statuses, p_counted, p_next_in_ms, p_error_codes, p_errors)
    AS x (place, status, counted, next_in_ms, error_code, error)
  WHERE d.ctid = x.place;
END $$;

CREATE FUNCTION mark_events(p_places tid[], p_now timestamptz) RETURNS void LANGUAGE plpgsql ${PLACES} AS $$
BEGIN
  UPDATE events e SET relayed_at = p_now WHERE e.ctid = ANY (p_places);
END $$;
`;

const CLAIM_CHANGES: [string, string][] = [
  ['  v_rows json;\n', '  v_places tid[];\n'],
  [
    `  UPDATE deliveries d SET stage = 'ready'
  FROM (
    SELECT t.client_id, t.id FROM deliveries t WHERE t.stage <> 'ready' AND t.next_attempt_at <= v_now
    ORDER BY t.next_attempt_at LIMIT 500 FOR UPDATE SKIP LOCKED
  ) due
  WHERE d.client_id = due.client_id AND d.id = due.id;
`,
    `  SELECT array_agg(due.ctid) INTO v_places FROM (
    SELECT t.ctid FROM deliveries t WHERE t.stage <> 'ready' AND t.next_attempt_at <= v_now
    ORDER BY t.next_attempt_at LIMIT 500 FOR UPDATE SKIP LOCKED
  ) due;
  IF v_places IS NOT NULL THEN
    PERFORM ready_deliveries(v_places);
  END IF;
`,
  ],
  [
    /  WITH claimed AS \([^;]*;\n/.exec(CLAIM_AHEAD)![0],
    `  SELECT array_agg(locked.ctid) INTO v_places FROM unnest(v_clients, v_ids) AS u (client_id, id)
  CROSS JOIN LATERAL (
    SELECT c.ctid, c.stage FROM deliveries c WHERE c.client_id = u.client_id AND c.id = u.id OFFSET 0 FOR UPDATE SKIP LOCKED
  ) AS locked
  WHERE locked.stage = 'ready';
`,
  ],
  ["'rows', coalesce(v_rows, '[]'),", "'rows', lease_deliveries(v_places, v_now, p_kinds, p_lease_ms),"],
];

// In the order of the records, which is that of their keys. The lease decides, so an attempt is written only where its
// delivery was.
const RECORD_BY_PLACE = `
  SELECT array_agg(held.ctid ORDER BY x.n) INTO v_places
  FROM unnest(p_clients, p_ids, p_leases) WITH ORDINALITY AS x (client_id, id, lease_until, n)
  LEFT JOIN LATERAL (
    SELECT l.ctid FROM (
      SELECT d.ctid, d.lease_until, d.stage FROM deliveries d
      WHERE d.client_id = x.client_id AND d.id = x.id OFFSET 0 FOR UPDATE
    ) AS l
    WHERE l.lease_until = x.lease_until AND l.stage IS NOT NULL
  ) AS held ON true;
  PERFORM settle_deliveries(v_places, p_statuses, p_counted, p_next_in_ms, p_error_codes, p_errors);
  INSERT INTO delivery_attempts (client_id, delivery_id, attempt_number, status, error_code, error, provider_name,
    provider_message_id, status_code, response_headers, response_body, response_time_ms, attempted_at)
  SELECT x.client_id, x.id, x.attempt, x.result, x.error_code, x.error, x.provider_name, x.provider_message_id,
    x.status_code, x.response_headers, x.response_body, x.response_time_ms, x.attempted_at
  FROM unnest(v_places, p_clients, p_ids, p_counted, p_error_codes, p_errors, p_attempts, p_results, p_providers,
    p_provider_ids, p_status_codes, p_headers, p_bodies, p_times, p_attempted_at)
    AS x (place, client_id, id, counted, error_code, error, attempt, result, provider_name, provider_message_id,
      status_code, response_headers, response_body, response_time_ms, attempted_at)
  WHERE x.place IS NOT NULL AND x.counted;
  SELECT array_agg(x.client_id || ' ' || x.id) INTO v_own
  FROM unnest(v_places, p_clients, p_ids) AS x (place, client_id, id) WHERE x.place IS NOT NULL;
`;
const RECORD_CHANGES: [string, string][] = [
  ['  v_own text[];\n', '  v_own text[];\n  v_places tid[];\n'],
  [/\n  WITH x AS MATERIALIZED \([^;]*;\n/.exec(RECORD)![0], RECORD_BY_PLACE],
];

const RELAY_CHANGES: [string, string][] = [
  ['  v_answer json;\n', '  v_answer json;\n  v_places tid[];\n'],
  [
    `, marked AS (
    UPDATE events e SET relayed_at = v_now FROM taken t WHERE e.ctid = t.ctid
  )`,
    '',
  ],
  [
    ') INTO v_answer;\n',
    '), (SELECT array_agg(t.ctid) FROM taken t) INTO v_answer, v_places;\n  PERFORM mark_events(v_places, v_now);\n',
  ],
];

// What is leased is among what comes due by itself, so the index of that would do as well, to such a planner: all of it
// for each lane. Said in a way that only its own index says, what is leased is found by that.
const INDEX = `
DROP INDEX deliveries_leased_idx;
CREATE INDEX deliveries_leased_idx ON deliveries ((nullif(client_id, '00000000-0000-0000-0000-000000000000')), lane)
WHERE stage || '' = 'leased';
`;
const OLD_INDEX = `
DROP INDEX deliveries_leased_idx;
CREATE INDEX deliveries_leased_idx ON deliveries ((nullif(client_id, '00000000-0000-0000-0000-000000000000')), lane)
WHERE stage = 'leased';
`;
const byLeases = (text: string): string =>
  text.replace(/WHERE (\w)\.stage = 'leased' AND nullif/g, "WHERE $1.stage || '' = 'leased' AND nullif");

const changed = (text: string, changes: [string, string][]): string =>
  changes.reduce((now, [part, by]) => replacing(now, part, by), text);

/** The claim, with its rows locked by key and written where they are. */
export const CLAIM_BY_PLACE = byLeases(changed(CLAIM_AHEAD, CLAIM_CHANGES));

/** The queue's rows are written where they are. */
export class QueueByPlace1764001300000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(INDEX + BY_PLACE);
    await runner.query(CLAIM_BY_PLACE);
    await runner.query(changed(RECORD, RECORD_CHANGES));
    await runner.query(byLeases(changed(LEAN_RELAY, RELAY_CHANGES)));
    await runner.query('ALTER FUNCTION relay_events SET plan_cache_mode = force_generic_plan');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(OLD_INDEX + CLAIM_BY_KEY);
    await runner.query(RECORD.replace('CREATE FUNCTION', 'CREATE OR REPLACE FUNCTION'));
    await runner.query(LEAN_RELAY);
    await runner.query('ALTER FUNCTION relay_events SET plan_cache_mode = force_generic_plan');
    await runner.query('DROP FUNCTION ready_deliveries, lease_deliveries, settle_deliveries, mark_events');
  }
}
