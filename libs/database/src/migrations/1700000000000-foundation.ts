import type { MigrationInterface, QueryRunner } from 'typeorm';

const UP = `
CREATE TABLE clients (
  id uuid NOT NULL,
  name varchar(255) NOT NULL,
  description varchar(2000),
  is_active boolean NOT NULL DEFAULT true,
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  CONSTRAINT clients_pkey PRIMARY KEY (id)
);

CREATE TABLE users (
  client_id uuid NOT NULL,
  id uuid NOT NULL,
  external_id varchar(255),
  email varchar(254),
  username varchar(100),
  full_name varchar(255),
  meta jsonb NOT NULL DEFAULT '{}',
  is_active boolean NOT NULL DEFAULT true,
  deleted_at timestamptz(3),
  last_seen_at timestamptz(3),
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  CONSTRAINT users_pkey PRIMARY KEY (client_id, id),
  CONSTRAINT users_client_fkey FOREIGN KEY (client_id) REFERENCES clients (id) ON DELETE CASCADE
);
-- Every index beside a primary key that starts like it is partial: on a young database without statistics the planner
-- would otherwise take it for a look-up by key and read the whole tenant.
CREATE UNIQUE INDEX users_email_key ON users (client_id, lower(email)) WHERE email IS NOT NULL;
CREATE UNIQUE INDEX users_username_key ON users (client_id, username) WHERE username IS NOT NULL;
CREATE UNIQUE INDEX users_external_id_key ON users (client_id, external_id) WHERE external_id IS NOT NULL;

CREATE TABLE api_keys (
  client_id uuid NOT NULL,
  id uuid NOT NULL,
  public_id varchar(8) NOT NULL,
  kind varchar(8) NOT NULL,
  hash bytea NOT NULL,
  is_master boolean NOT NULL DEFAULT false,
  user_id uuid,
  device varchar(100),
  name varchar(255),
  scopes text[] NOT NULL DEFAULT '{}',
  expires_at timestamptz(3),
  revoked_at timestamptz(3),
  last_used_at timestamptz(3),
  created_at timestamptz(3) NOT NULL,
  CONSTRAINT api_keys_pkey PRIMARY KEY (client_id, id),
  CONSTRAINT api_keys_client_fkey FOREIGN KEY (client_id) REFERENCES clients (id) ON DELETE CASCADE,
  CONSTRAINT api_keys_user_fkey FOREIGN KEY (client_id, user_id) REFERENCES users (client_id, id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX api_keys_public_id_key ON api_keys (public_id);
-- One living key per user and device: two logins cannot both win.
CREATE UNIQUE INDEX api_keys_living_user_key ON api_keys (client_id, user_id, coalesce(device, ''))
  WHERE kind = 'user' AND revoked_at IS NULL;

CREATE TABLE rooms (
  client_id uuid NOT NULL,
  id uuid NOT NULL,
  name varchar(100),
  description varchar(2000),
  room_type varchar(16) NOT NULL,
  visibility varchar(16) NOT NULL,
  max_members integer NOT NULL,
  meta jsonb NOT NULL DEFAULT '{}',
  is_active boolean NOT NULL DEFAULT true,
  deactivated_reason varchar(16),
  created_by uuid,
  direct_key varchar(73),
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  CONSTRAINT rooms_pkey PRIMARY KEY (client_id, id),
  CONSTRAINT rooms_client_fkey FOREIGN KEY (client_id) REFERENCES clients (id) ON DELETE CASCADE,
  CONSTRAINT rooms_created_by_fkey FOREIGN KEY (client_id, created_by) REFERENCES users (client_id, id)
);
-- One direct room per pair of users.
CREATE UNIQUE INDEX rooms_direct_key ON rooms (client_id, direct_key) WHERE direct_key IS NOT NULL;

-- What churns with every change of the conversation, apart from the room row, which does not.
CREATE TABLE room_counters (
  client_id uuid NOT NULL,
  room_id uuid NOT NULL,
  seq bigint NOT NULL DEFAULT 0,
  message_count bigint NOT NULL DEFAULT 0,
  deleted_count bigint NOT NULL DEFAULT 0,
  member_count integer NOT NULL DEFAULT 0,
  last_message_at timestamptz(3),
  last_change_at timestamptz(3) NOT NULL,
  CONSTRAINT room_counters_pkey PRIMARY KEY (client_id, room_id),
  CONSTRAINT room_counters_room_fkey FOREIGN KEY (client_id, room_id) REFERENCES rooms (client_id, id) ON DELETE CASCADE
) WITH (fillfactor = 50);

CREATE TABLE room_members (
  client_id uuid NOT NULL,
  room_id uuid NOT NULL,
  user_id uuid NOT NULL,
  role varchar(8) NOT NULL,
  joined_at timestamptz(3) NOT NULL,
  left_at timestamptz(3),
  change_seq bigint NOT NULL,
  last_read_seq bigint NOT NULL DEFAULT 0,
  CONSTRAINT room_members_pkey PRIMARY KEY (client_id, room_id, user_id),
  CONSTRAINT room_members_room_fkey FOREIGN KEY (client_id, room_id) REFERENCES rooms (client_id, id) ON DELETE CASCADE,
  CONSTRAINT room_members_user_fkey FOREIGN KEY (client_id, user_id) REFERENCES users (client_id, id) ON DELETE CASCADE
);
CREATE INDEX room_members_user_idx ON room_members (client_id, user_id) WHERE left_at IS NULL;
CREATE INDEX room_members_change_idx ON room_members (client_id, room_id, change_seq) WHERE change_seq > 0;

CREATE TABLE messages (
  client_id uuid NOT NULL,
  id uuid NOT NULL,
  room_id uuid NOT NULL,
  seq bigint NOT NULL,
  change_seq bigint NOT NULL,
  sender_id uuid,
  content text NOT NULL,
  message_type varchar(8) NOT NULL,
  meta jsonb NOT NULL DEFAULT '{}',
  reply_to uuid,
  client_message_id varchar(255),
  edited_at timestamptz(3),
  edit_reason varchar(500),
  deleted_at timestamptz(3),
  deleted_by uuid,
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  CONSTRAINT messages_pkey PRIMARY KEY (client_id, id),
  -- To the counters, not the room: a sender holds that row's lock already, so the check locks and logs nothing more.
  CONSTRAINT messages_room_fkey FOREIGN KEY (client_id, room_id)
    REFERENCES room_counters (client_id, room_id) ON DELETE CASCADE,
  CONSTRAINT messages_sender_fkey FOREIGN KEY (client_id, sender_id) REFERENCES users (client_id, id)
);
CREATE UNIQUE INDEX messages_room_seq_key ON messages (client_id, room_id, seq);
-- Only rows changed after creation: a plain insert does not pay for it.
CREATE INDEX messages_changed_idx ON messages (client_id, room_id, change_seq) WHERE change_seq <> seq;
CREATE INDEX messages_reply_idx ON messages (client_id, reply_to) WHERE reply_to IS NOT NULL;
CREATE UNIQUE INDEX messages_client_message_key
  ON messages (client_id, room_id, coalesce(sender_id, '00000000-0000-0000-0000-000000000000'::uuid), client_message_id)
  WHERE client_message_id IS NOT NULL;

CREATE TABLE idempotency_records (
  client_id uuid NOT NULL,
  principal varchar(64) NOT NULL,
  route varchar(128) NOT NULL,
  key varchar(255) NOT NULL,
  body_hash bytea NOT NULL,
  status smallint NOT NULL,
  response bytea NOT NULL,
  created_at timestamptz(3) NOT NULL,
  CONSTRAINT idempotency_records_pkey PRIMARY KEY (client_id, principal, route, key)
);
CREATE INDEX idempotency_records_age_idx ON idempotency_records (created_at);

CREATE TABLE scheduled_jobs (
  name varchar(64) NOT NULL,
  next_run_at timestamptz(3) NOT NULL,
  last_run_at timestamptz(3),
  CONSTRAINT scheduled_jobs_pkey PRIMARY KEY (name)
);

-- Sends one message: what send_messages does, for the lone send that a batch's plan would only slow down. The same
-- invariants, the same outcomes in the same order.
CREATE FUNCTION send_message(
  p_now timestamptz, p_client uuid, p_room uuid, p_id uuid, p_sender uuid, p_as_member boolean, p_content text, p_type text,
  p_meta text, p_reply uuid, p_client_message_id text,
  OUT ord integer, OUT outcome text, OUT message_id uuid, OUT seq bigint, OUT created_at timestamptz, OUT sender_name text
) LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
  judged record;
BEGIN
  ord := 1;
  PERFORM 1 FROM room_counters c WHERE c.client_id = p_client AND c.room_id = p_room FOR UPDATE;
  SELECT r.id AS room, r.is_active, r.deactivated_reason, u.is_active AS user_active, m.user_id AS member, m.left_at,
    CASE WHEN p_sender IS NULL THEN k.name ELSE coalesce(u.full_name, u.username) END AS name INTO judged
  FROM clients k
  LEFT JOIN rooms r ON r.client_id = k.id AND r.id = p_room
  LEFT JOIN users u ON u.client_id = k.id AND u.id = p_sender
  LEFT JOIN room_members m ON m.client_id = k.id AND m.room_id = p_room AND m.user_id = p_sender
  WHERE k.id = p_client;
  sender_name := judged.name;
  outcome := CASE
    WHEN judged.room IS NULL THEN 'no_room'
    WHEN p_sender IS NOT NULL AND judged.user_active IS NOT TRUE THEN 'no_sender'
    WHEN p_as_member AND (judged.member IS NULL OR judged.left_at IS NOT NULL) THEN 'not_member'
  END;
  IF outcome IS NOT NULL THEN
    RETURN;
  END IF;
  IF p_client_message_id IS NOT NULL THEN
    SELECT e.id INTO message_id FROM messages e
    WHERE e.client_id = p_client AND e.room_id = p_room AND e.client_message_id = p_client_message_id
      AND coalesce(e.sender_id, '00000000-0000-0000-0000-000000000000'::uuid)
        = coalesce(p_sender, '00000000-0000-0000-0000-000000000000'::uuid);
    IF FOUND THEN
      outcome := 'existing';
      RETURN;
    END IF;
  END IF;
  IF NOT judged.is_active AND judged.deactivated_reason IS DISTINCT FROM 'inactive' THEN
    outcome := 'inactive';
    RETURN;
  END IF;
  IF p_reply IS NOT NULL THEN
    PERFORM 1 FROM messages q WHERE q.client_id = p_client AND q.id = p_reply AND q.room_id = p_room;
    IF NOT FOUND THEN
      outcome := 'no_reply';
      RETURN;
    END IF;
  END IF;
  UPDATE room_counters c SET seq = c.seq + 1, message_count = c.message_count + 1,
    last_message_at = greatest(p_now, c.last_change_at), last_change_at = greatest(p_now, c.last_change_at)
  WHERE c.client_id = p_client AND c.room_id = p_room RETURNING c.seq, c.last_change_at INTO seq, created_at;
  INSERT INTO messages (client_id, id, room_id, seq, change_seq, sender_id, content, message_type, meta, reply_to,
    client_message_id, created_at, updated_at)
  VALUES (p_client, p_id, p_room, send_message.seq, send_message.seq, p_sender, p_content, p_type, p_meta::jsonb, p_reply,
    p_client_message_id, send_message.created_at, send_message.created_at);
  IF NOT judged.is_active THEN
    UPDATE rooms r SET is_active = true, deactivated_reason = NULL, updated_at = p_now
    WHERE r.client_id = p_client AND r.id = p_room;
  END IF;
  outcome := 'created';
  message_id := p_id;
END $$;

-- Sends a batch of messages in one commit. Invariants it keeps: the counters are locked in key order (no two batches
-- can deadlock); everything is judged after the locks are held (plpgsql takes a new snapshot per statement, so a
-- member who left a moment ago is seen to have left); seqs are consecutive per room in array order; created_at never
-- runs backwards in a room, so created_at order is seq order.
CREATE FUNCTION send_messages(
  p_now timestamptz, p_client uuid[], p_room uuid[], p_id uuid[], p_sender uuid[], p_as_member boolean[],
  p_content text[], p_type text[], p_meta text[], p_reply uuid[], p_client_message_id text[]
) RETURNS TABLE (ord integer, outcome text, message_id uuid, seq bigint, created_at timestamptz, sender_name text)
LANGUAGE plpgsql
-- A batch touches single rows by key, whatever the statistics of a young or a huge table suggest: one plan of nested
-- index look-ups, made once per connection.
SET plan_cache_mode = force_generic_plan
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_seqscan = off
SET jit = off
AS $$
#variable_conflict use_column
BEGIN
  PERFORM 1 FROM room_counters c
    WHERE (c.client_id, c.room_id) IN (SELECT x.c, x.r FROM unnest(p_client, p_room) AS x (c, r))
    ORDER BY c.client_id, c.room_id FOR UPDATE;
  RETURN QUERY
  WITH input AS (
    SELECT * FROM unnest(p_client, p_room, p_id, p_sender, p_as_member, p_content, p_type, p_meta, p_reply, p_client_message_id)
      WITH ORDINALITY AS x (client_id, room_id, id, sender_id, as_member, content, type, meta, reply_to, cmid, ord)
  ), judged AS (
    SELECT i.*, r.is_active AS room_active,
      coalesce(u.full_name, u.username, k.name) AS sender_name,
      CASE
        WHEN r.id IS NULL THEN 'no_room'
        WHEN i.sender_id IS NOT NULL AND (u.id IS NULL OR NOT u.is_active) THEN 'no_sender'
        WHEN i.as_member AND (m.user_id IS NULL OR m.left_at IS NOT NULL) THEN 'not_member'
        WHEN i.existing_id IS NOT NULL THEN 'existing'
        WHEN NOT r.is_active AND r.deactivated_reason IS DISTINCT FROM 'inactive' THEN 'inactive'
        WHEN i.reply_to IS NOT NULL AND NOT EXISTS (
          SELECT 1 FROM messages q WHERE q.client_id = i.client_id AND q.id = i.reply_to AND q.room_id = i.room_id
        ) THEN 'no_reply'
        ELSE 'created'
      END AS outcome
    FROM (
      SELECT x.*, CASE WHEN x.cmid IS NOT NULL THEN (
        SELECT e.id FROM messages e
        WHERE e.client_id = x.client_id AND e.room_id = x.room_id AND e.client_message_id = x.cmid
          AND coalesce(e.sender_id, '00000000-0000-0000-0000-000000000000'::uuid)
            = coalesce(x.sender_id, '00000000-0000-0000-0000-000000000000'::uuid)
      ) END AS existing_id FROM input x
    ) i
    LEFT JOIN rooms r ON r.client_id = i.client_id AND r.id = i.room_id
    LEFT JOIN users u ON u.client_id = i.client_id AND u.id = i.sender_id
    LEFT JOIN clients k ON k.id = i.client_id AND i.sender_id IS NULL
    LEFT JOIN room_members m
      ON m.client_id = i.client_id AND m.room_id = i.room_id AND m.user_id = i.sender_id
  ), good AS (
    SELECT j.*, row_number() OVER (PARTITION BY j.client_id, j.room_id ORDER BY j.ord) AS rn
    FROM judged j WHERE j.outcome = 'created'
  ), bumped AS (
    UPDATE room_counters c
    SET seq = c.seq + t.n, message_count = c.message_count + t.n,
      last_message_at = greatest(p_now, c.last_change_at), last_change_at = greatest(p_now, c.last_change_at)
    FROM (SELECT g.client_id, g.room_id, count(*) AS n FROM good g GROUP BY 1, 2) t
    WHERE c.client_id = t.client_id AND c.room_id = t.room_id
    RETURNING c.client_id, c.room_id, c.seq - t.n AS base, c.last_change_at AS at
  ), revived AS (
    UPDATE rooms r SET is_active = true, deactivated_reason = NULL, updated_at = p_now
    FROM (SELECT DISTINCT g.client_id, g.room_id FROM good g WHERE NOT g.room_active) t
    WHERE r.client_id = t.client_id AND r.id = t.room_id
  ), inserted AS (
    INSERT INTO messages (client_id, id, room_id, seq, change_seq, sender_id, content, message_type, meta, reply_to,
      client_message_id, created_at, updated_at)
    SELECT g.client_id, g.id, g.room_id, b.base + g.rn, b.base + g.rn, g.sender_id, g.content, g.type, g.meta::jsonb,
      g.reply_to, g.cmid, b.at, b.at
    FROM good g JOIN bumped b ON b.client_id = g.client_id AND b.room_id = g.room_id
    ORDER BY g.ord
    RETURNING client_id, id, seq, created_at
  )
  SELECT j.ord::integer, j.outcome, coalesce(n.id, j.existing_id), n.seq, n.created_at::timestamptz, j.sender_name::text
  FROM judged j LEFT JOIN inserted n ON n.client_id = j.client_id AND n.id = j.id
  ORDER BY j.ord;
END $$;
`;

const DOWN = `
DROP FUNCTION send_message(timestamptz, uuid, uuid, uuid, uuid, boolean, text, text, text, uuid, text);
DROP FUNCTION send_messages(timestamptz, uuid[], uuid[], uuid[], uuid[], boolean[], text[], text[], text[], uuid[], text[]);
DROP TABLE scheduled_jobs, idempotency_records, messages, room_members, room_counters, rooms, api_keys, users, clients;
`;

/** Tenants, users, keys, rooms and messages. Every tenant-owned key starts with client_id, every foreign key carries it. */
export class Foundation1700000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(UP);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(DOWN);
  }
}
