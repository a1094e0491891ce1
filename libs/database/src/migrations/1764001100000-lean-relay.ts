import type { MigrationInterface, QueryRunner } from 'typeorm';
import { RELAY } from './1764000900000-relay-leases.js';
import { replacing } from './replacing.js';

// A plan that is kept must be right for every number of facts, and each of these could be turned round: OFFSET 0 keeps a
// look-up by key what it is. What is waiting was compared with each of ours, too, where a hash does.
const CHANGES: [string, string][] = [
  [
    'SELECT client_id, id, event, room_id, position FROM events',
    'SELECT client_id, id, event, room_id, position, ctid FROM events',
  ],
  [
    `
    JOIN events x ON x.relayed_at IS NULL AND nullif(x.client_id, '00000000-0000-0000-0000-000000000000') = ours.client_id AND x.position < ours.last
    LEFT JOIN due d ON d.position = x.position
    WHERE x.room_id IS NOT NULL AND d.position IS NULL`,
    `
    CROSS JOIN LATERAL (
      SELECT e.client_id, e.room_id, e.position FROM events e
      WHERE e.relayed_at IS NULL AND nullif(e.client_id, '00000000-0000-0000-0000-000000000000') = ours.client_id
        AND e.position < ours.last OFFSET 0
    ) x
    WHERE x.room_id IS NOT NULL AND x.position NOT IN (SELECT d.position FROM due d)`,
  ],
  // The rows are locked: they are where they were.
  ['FROM taken t WHERE e.client_id = t.client_id AND e.id = t.id', 'FROM taken t WHERE e.ctid = t.ctid'],
  [
    `
    FROM taken t JOIN webhook_endpoints w ON w.client_id = t.client_id AND w.is_active
      AND w.events && ARRAY[t.event::text, split_part(t.event, '.', 1) || '.*', '*']
      AND (w.room_ids = '{}' OR t.room_id = ANY (w.room_ids))`,
    `
    FROM taken t CROSS JOIN LATERAL (
      SELECT o.id, o.url, o.ordered FROM webhook_endpoints o WHERE o.client_id = t.client_id AND o.is_active
        AND o.events && ARRAY[t.event::text, split_part(t.event, '.', 1) || '.*', '*']
        AND (o.room_ids = '{}' OR t.room_id = ANY (o.room_ids)) OFFSET 0
    ) w`,
  ],
  [
    `= l.client_id AND d.lane = l.lane
    )
  ), ranked`,
    `= l.client_id AND d.lane = l.lane OFFSET 0
    )
  ), ranked`,
  ],
];

/** The relay of facts, fit to be planned once. */
export const LEAN_RELAY = CHANGES.reduce((text, [part, by]) => replacing(text, part, by), RELAY);

/** The relay is planned once: planning it took as long as a pass with few facts. */
export class LeanRelay1764001100000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(LEAN_RELAY);
    await runner.query('ALTER FUNCTION relay_events SET plan_cache_mode = force_generic_plan');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(RELAY.replace('CREATE FUNCTION', 'CREATE OR REPLACE FUNCTION'));
    await runner.query('ALTER FUNCTION relay_events RESET plan_cache_mode');
  }
}
