import type { MigrationInterface, QueryRunner } from 'typeorm';

// A position is taken while the change holds the lock of its room's counters, and that lock is kept until the commit: so
// the committed facts of a room have the order of their positions, which ids made by several processes cannot promise.
const UP = `
ALTER TABLE events ADD COLUMN position bigserial;
DROP INDEX events_waiting_idx;
-- What the relay has still to do, oldest first over all tenants.
CREATE INDEX events_waiting_idx ON events (position) WHERE relayed_at IS NULL;
-- A queue in which every row is updated once.
ALTER TABLE events SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);

-- The deliveries of one endpoint, newest first.
DROP INDEX deliveries_lane_idx;
CREATE INDEX deliveries_lane_idx ON deliveries (client_id, lane, id) WHERE kind = 'webhook.event';
-- Written with every few attempts; room on the page keeps those updates there.
ALTER TABLE webhook_endpoints SET (fillfactor = 50);
`;

const DOWN = `
ALTER TABLE webhook_endpoints RESET (fillfactor);
DROP INDEX deliveries_lane_idx;
CREATE INDEX deliveries_lane_idx ON deliveries (client_id, lane, id) WHERE kind = 'webhook';
ALTER TABLE events RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_threshold);
DROP INDEX events_waiting_idx;
ALTER TABLE events DROP COLUMN position;
CREATE INDEX events_waiting_idx ON events (id) WHERE relayed_at IS NULL;
`;

/** The order of facts, and what the relay and the lists of deliveries find them by. */
export class EventOrder1764000600000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(UP);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(DOWN);
  }
}
