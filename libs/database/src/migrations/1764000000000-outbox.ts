import type { MigrationInterface, QueryRunner } from 'typeorm';

const UP = `
ALTER TABLE room_members ADD COLUMN left_reason varchar(8);

CREATE TABLE webhook_endpoints (
  client_id uuid NOT NULL,
  id uuid NOT NULL,
  url varchar(2048) NOT NULL,
  description varchar(2000),
  events text[] NOT NULL,
  room_ids uuid[] NOT NULL DEFAULT '{}',
  is_active boolean NOT NULL DEFAULT true,
  disabled_reason varchar(32),
  ordered boolean NOT NULL DEFAULT false,
  -- Sealed. The previous one signs beside it until its time is up.
  secret bytea NOT NULL,
  previous_secret bytea,
  previous_secret_until timestamptz(3),
  custom_headers jsonb NOT NULL DEFAULT '{}',
  meta jsonb NOT NULL DEFAULT '{}',
  last_delivery_at timestamptz(3),
  consecutive_failures integer NOT NULL DEFAULT 0,
  failing_since timestamptz(3),
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  CONSTRAINT webhook_endpoints_pkey PRIMARY KEY (client_id, id),
  CONSTRAINT webhook_endpoints_client_fkey FOREIGN KEY (client_id) REFERENCES clients (id) ON DELETE CASCADE
);

-- No foreign key: a fact outlives what it tells of, and the check would cost every insert. Erasing a tenant deletes them.
CREATE TABLE events (
  client_id uuid NOT NULL,
  id uuid NOT NULL,
  event varchar(32) NOT NULL,
  room_id uuid,
  data json NOT NULL,
  created_at timestamptz(3) NOT NULL,
  relayed_at timestamptz(3),
  CONSTRAINT events_pkey PRIMARY KEY (client_id, id)
);
-- What the relay has still to do, oldest first over all tenants.
CREATE INDEX events_waiting_idx ON events (id) WHERE relayed_at IS NULL;

CREATE TABLE deliveries (
  client_id uuid NOT NULL,
  id uuid NOT NULL,
  kind varchar(32) NOT NULL,
  source_id uuid NOT NULL,
  lane varchar(64) NOT NULL,
  target varchar(2048) NOT NULL,
  priority smallint NOT NULL,
  order_key varchar(64),
  status varchar(16) NOT NULL,
  attempt_count integer NOT NULL DEFAULT 0,
  -- Null: nothing is left to do.
  next_attempt_at timestamptz(3),
  lease_until timestamptz(3),
  error_code varchar(64),
  error varchar(500),
  finished_at timestamptz(3),
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  CONSTRAINT deliveries_pkey PRIMARY KEY (client_id, id),
  CONSTRAINT deliveries_client_fkey FOREIGN KEY (client_id) REFERENCES clients (id) ON DELETE CASCADE
);
CREATE INDEX deliveries_source_idx ON deliveries (client_id, source_id) WHERE source_id IS NOT NULL;
-- One entry per delivery that is not finished, lane by lane: a claim skips from lane to lane.
CREATE INDEX deliveries_due_idx ON deliveries (client_id, lane, priority, next_attempt_at) WHERE next_attempt_at IS NOT NULL;

CREATE TABLE delivery_attempts (
  client_id uuid NOT NULL,
  delivery_id uuid NOT NULL,
  attempt_number integer NOT NULL,
  status varchar(16) NOT NULL,
  error_code varchar(64),
  error varchar(500),
  provider_name varchar(64),
  provider_message_id varchar(255),
  status_code smallint,
  response_headers jsonb,
  response_body text,
  response_time_ms integer NOT NULL,
  attempted_at timestamptz(3) NOT NULL,
  CONSTRAINT delivery_attempts_pkey PRIMARY KEY (client_id, delivery_id, attempt_number),
  CONSTRAINT delivery_attempts_delivery_fkey FOREIGN KEY (client_id, delivery_id)
    REFERENCES deliveries (client_id, id) ON DELETE CASCADE
);
`;

const DOWN = `
DROP TABLE delivery_attempts, deliveries, events, webhook_endpoints;
ALTER TABLE room_members DROP COLUMN left_reason;
`;

/** Facts, the endpoints that hear of them, and deliveries with their attempts. */
export class Outbox1764000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(UP);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(DOWN);
  }
}
