import type { MigrationInterface, QueryRunner } from 'typeorm';

// See the migration of the first claim, and that of the queue by place.
const tenantOf = (row: string): string => `nullif(${row}client_id, '00000000-0000-0000-0000-000000000000')`;

// The next of an order is the first by the queue's own index, locked by its key and written where it is: joined with its
// UPDATE, it was looked for among all that come due by themselves, for each order key anew.
//
// The lock of the claims comes first, so that what follows sees what every claim before has put behind. Whoever has locked
// the next one is about to end it, and lets the one after it go then. A release that is lost with the database is made
// up for by time, so its commit does not wait for the disk.
const RELEASE = `
CREATE FUNCTION free_deliveries(p_places tid[]) RETURNS void LANGUAGE plpgsql
  SET enable_seqscan = off SET enable_indexscan = off SET enable_bitmapscan = off AS $$
BEGIN
  UPDATE deliveries d SET stage = 'ready', next_attempt_at = now() WHERE d.ctid = ANY (p_places);
END $$;

CREATE FUNCTION release_deliveries(p_clients uuid[], p_lanes text[], p_keys text[]) RETURNS void LANGUAGE plpgsql
  SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
  SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  v_places tid[];
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  PERFORM pg_advisory_xact_lock(7226852);
  SELECT array_agg(locked.ctid) INTO v_places
  FROM unnest(p_clients, p_lanes, p_keys) AS k (client_id, lane, order_key)
  CROSS JOIN LATERAL (
    SELECT o.id, o.stage FROM deliveries o
    WHERE ${tenantOf('o.')} = k.client_id AND o.lane = k.lane AND o.order_key = k.order_key AND o.stage IS NOT NULL
    ORDER BY o.id LIMIT 1
  ) AS first
  CROSS JOIN LATERAL (
    SELECT d.ctid, d.stage FROM deliveries d WHERE d.client_id = k.client_id AND d.id = first.id
    OFFSET 0 FOR UPDATE SKIP LOCKED
  ) AS locked
  WHERE first.stage = 'behind' AND locked.stage = 'behind';
  IF v_places IS NOT NULL THEN
    PERFORM free_deliveries(v_places);
  END IF;
END $$;
`;

/** What lets the next of an order go finds it by its key and writes it where it is. */
export class ReleaseByPlace1764001400000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(RELEASE);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP FUNCTION release_deliveries, free_deliveries');
  }
}
