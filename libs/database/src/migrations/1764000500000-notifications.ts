import type { MigrationInterface, QueryRunner } from 'typeorm';

const UP = `
-- Counts change with every settled delivery; room on the page keeps those updates on it. No foreign key to the room: a
-- notification is a record and outlives it; the creating transaction checks that the room is the tenant's.
CREATE TABLE notifications (
  client_id uuid NOT NULL,
  id uuid NOT NULL,
  type varchar(16) NOT NULL,
  -- "pending" until finished_at is set: what it is doing meanwhile is read from its deliveries.
  status varchar(16) NOT NULL,
  priority varchar(8) NOT NULL,
  subject varchar(255),
  content text NOT NULL,
  -- A string or an array, as it was asked for.
  to_email jsonb,
  cc text[],
  bcc text[],
  reply_to varchar(254),
  from_email varchar(254),
  from_name varchar(255),
  room_id uuid,
  user_ids uuid[],
  webhook_url varchar(2048),
  email_fallback jsonb,
  meta jsonb NOT NULL DEFAULT '{}',
  scheduled_for timestamptz(3),
  recipients_total integer NOT NULL,
  recipients_pending integer NOT NULL,
  recipients_sent integer NOT NULL DEFAULT 0,
  recipients_failed integer NOT NULL DEFAULT 0,
  -- Deliveries that reached a live socket.
  live_count integer NOT NULL DEFAULT 0,
  fallback_sent boolean NOT NULL DEFAULT false,
  -- Milliseconds from due to sent, summed over what was sent.
  delivery_ms bigint NOT NULL DEFAULT 0,
  error_code varchar(64),
  error varchar(500),
  sent_at timestamptz(3),
  finished_at timestamptz(3),
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  CONSTRAINT notifications_pkey PRIMARY KEY (client_id, id),
  CONSTRAINT notifications_client_fkey FOREIGN KEY (client_id) REFERENCES clients (id) ON DELETE CASCADE
) WITH (fillfactor = 90);
-- The few that are not at their end; a count that changes does not touch it.
CREATE INDEX notifications_active_idx ON notifications (client_id, created_at) WHERE finished_at IS NULL;
-- Everything analytics add up of those at their end, so that the table itself is not read.
CREATE INDEX notifications_finished_idx ON notifications (client_id, created_at)
  INCLUDE (type, status, recipients_total, recipients_sent, recipients_failed, delivery_ms) WHERE finished_at IS NOT NULL;
CREATE INDEX notifications_room_idx ON notifications (client_id, room_id, id) WHERE room_id IS NOT NULL;

-- Who can read a notification in the inbox. Ids are time-ordered, so the key holds the order of the list.
CREATE TABLE notification_inbox (
  client_id uuid NOT NULL,
  user_id uuid NOT NULL,
  notification_id uuid NOT NULL,
  read_at timestamptz(3),
  created_at timestamptz(3) NOT NULL,
  CONSTRAINT notification_inbox_pkey PRIMARY KEY (client_id, user_id, notification_id),
  CONSTRAINT notification_inbox_user_fkey FOREIGN KEY (client_id, user_id)
    REFERENCES users (client_id, id) ON DELETE CASCADE,
  CONSTRAINT notification_inbox_notification_fkey FOREIGN KEY (client_id, notification_id)
    REFERENCES notifications (client_id, id) ON DELETE CASCADE
);

CREATE TABLE notification_secrets (
  client_id uuid NOT NULL,
  -- Sealed.
  secret bytea NOT NULL,
  created_at timestamptz(3) NOT NULL,
  CONSTRAINT notification_secrets_pkey PRIMARY KEY (client_id),
  CONSTRAINT notification_secrets_client_fkey FOREIGN KEY (client_id) REFERENCES clients (id) ON DELETE CASCADE
);

-- Who was written to. A digest, since a URL may be longer than an index entry.
CREATE INDEX deliveries_recipient_idx ON deliveries (client_id, md5(lower(target)))
  WHERE kind IN ('email', 'websocket', 'notification.webhook');
`;

const DOWN = `
DROP INDEX deliveries_recipient_idx;
DROP TABLE notification_secrets, notification_inbox, notifications;
`;

/** Notifications, users' inboxes, and the secrets that sign notification webhooks. */
export class Notifications1764000500000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(UP);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(DOWN);
  }
}
