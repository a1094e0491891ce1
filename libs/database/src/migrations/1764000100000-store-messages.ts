import type { MigrationInterface, QueryRunner } from 'typeorm';

/** RFC 3339 text of a timestamp. */
export const time = (column: string): string =>
  `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

// The SQL of this file is frozen with it: what reads a message or a room today is not asked how it did then.
const MESSAGE = `SELECT x.id, x.room_id, x.seq, x.sender_id,
  CASE WHEN x.sender_id IS NULL THEN k.name ELSE coalesce(u.full_name, u.username, 'Deleted user') END AS sender_name,
  x.content, x.message_type, x.meta, x.reply_to, x.client_message_id, x.edited_at IS NOT NULL AS is_edited,
  ${time('x.edited_at')} AS edited_at, x.edit_reason, x.deleted_at IS NOT NULL AS is_deleted,
  ${time('x.deleted_at')} AS deleted_at, ${time('x.created_at')} AS created_at, ${time('x.updated_at')} AS updated_at`;

const ROOM = `SELECT r.id, r.name, r.description, r.room_type, r.visibility, r.max_members, r.meta, r.is_active,
  r.deactivated_reason, r.created_by, c.member_count, c.message_count, c.seq, ${time('c.last_message_at')} AS last_message_at,
  ${time('r.created_at')} AS created_at, ${time('r.updated_at')} AS updated_at`;

export const LOG_SENDS = `-- Logs the facts of sends that were stored just now: message.created of each of p_id that is stored, room.updated of each
-- of p_quiet that is active by now. A message's fact has the message's id. A room's begins like its first message's, with
-- a tail that sorts before it.
CREATE FUNCTION log_sends(p_client uuid[], p_id uuid[], p_quiet uuid[]) RETURNS void LANGUAGE sql
AS $$
  INSERT INTO events (client_id, id, event, room_id, data, created_at)
  SELECT r.client_id,
    (SELECT substr(min(x.id::text), 1, 19) || '8000-' || right(gen_random_uuid()::text, 12) FROM messages x
     WHERE x.client_id = r.client_id AND x.id = ANY (p_id) AND x.room_id = r.id)::uuid,
    'room.updated', r.id, (SELECT row_to_json(rendered) FROM (${ROOM}) AS rendered), clock_timestamp()
  FROM rooms r JOIN room_counters c ON c.client_id = r.client_id AND c.room_id = r.id
  WHERE r.client_id = ANY (p_client) AND r.id = ANY (p_quiet) AND r.is_active
    AND EXISTS (SELECT 1 FROM webhook_endpoints w
      WHERE w.client_id = r.client_id AND w.is_active AND w.events && ARRAY['room.updated', 'room.*', '*']);
  INSERT INTO events (client_id, id, event, room_id, data, created_at)
  SELECT x.client_id, x.id, 'message.created', x.room_id, (SELECT row_to_json(rendered) FROM (${MESSAGE}) AS rendered),
    clock_timestamp()
  FROM messages x JOIN clients k ON k.id = x.client_id
  LEFT JOIN users u ON u.client_id = x.client_id AND u.id = x.sender_id
  WHERE x.client_id = ANY (p_client) AND x.id = ANY (p_id)
    AND EXISTS (SELECT 1 FROM webhook_endpoints w
      WHERE w.client_id = x.client_id AND w.is_active AND w.events && ARRAY['message.created', 'message.*', '*'])
  ORDER BY x.id;
$$;`;

const UP = `
-- When a room was last switched on by hand: its quiet time counts from then.
ALTER TABLE rooms ADD COLUMN active_since timestamptz(3);

${LOG_SENDS}

-- Stores one message: what store_messages does, for the lone send that a batch's plan would only slow down. The same
-- invariants, the same outcomes in the same order. Beside send_message, which processes of the release before still call.
CREATE FUNCTION store_message(
  p_now timestamptz, p_client uuid, p_room uuid, p_id uuid, p_sender uuid, p_as_member boolean, p_content text, p_type text,
  p_meta text, p_reply uuid, p_client_message_id text,
  OUT outcome text, OUT message_id uuid, OUT seq bigint, OUT created_at timestamptz, OUT sender_name text, OUT logged boolean
) LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
AS $$
#variable_conflict use_column
DECLARE
  judged record;
BEGIN
  PERFORM 1 FROM room_counters c WHERE c.client_id = p_client AND c.room_id = p_room FOR UPDATE;
  SELECT r.id AS room, r.is_active, r.deactivated_reason, u.is_active AS user_active, m.user_id AS member, m.left_at,
    CASE WHEN p_sender IS NULL THEN k.name ELSE coalesce(u.full_name, u.username) END AS name,
    EXISTS (SELECT 1 FROM webhook_endpoints w WHERE w.client_id = k.id AND w.is_active) AS told INTO judged
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
  VALUES (p_client, p_id, p_room, store_message.seq, store_message.seq, p_sender, p_content, p_type, p_meta::jsonb, p_reply,
    p_client_message_id, store_message.created_at, store_message.created_at);
  IF NOT judged.is_active THEN
    UPDATE rooms r SET is_active = true, deactivated_reason = NULL, updated_at = p_now
    WHERE r.client_id = p_client AND r.id = p_room;
  END IF;
  IF judged.told THEN
    PERFORM log_sends(ARRAY[p_client], ARRAY[p_id], CASE WHEN judged.is_active THEN '{}' ELSE ARRAY[p_room] END);
  END IF;
  logged := judged.told;
  outcome := 'created';
  message_id := p_id;
END $$;

-- Stores a batch of messages in one commit. Invariants it keeps: the counters are locked in key order (no two batches can
-- deadlock); everything is judged and numbered after the locks are held (plpgsql takes a new snapshot per statement, so a
-- member who left a moment ago is seen to have left); seqs are consecutive per room in array order; created_at never runs
-- backwards in a room, so created_at order is seq order; facts commit with the messages they tell of. Nothing is joined
-- but by key: a batch of twice the size costs twice as much. One row per send, in array order.
CREATE FUNCTION store_messages(
  p_now timestamptz, p_client uuid[], p_room uuid[], p_id uuid[], p_sender uuid[], p_as_member boolean[],
  p_content text[], p_type text[], p_meta text[], p_reply uuid[], p_client_message_id text[]
) RETURNS TABLE (outcome text, message_id uuid, seq bigint, created_at timestamptz, sender_name text, logged boolean)
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
DECLARE
  told uuid[];
  quiet uuid[];
BEGIN
  PERFORM 1 FROM room_counters c
    WHERE (c.client_id, c.room_id) IN (SELECT x.c, x.r FROM unnest(p_client, p_room) AS x (c, r))
    ORDER BY c.client_id, c.room_id FOR UPDATE;
  -- Tenants with an active endpoint for what a send can cause, and which of their rooms it would wake.
  told := (
    SELECT array_agg(DISTINCT w.client_id) FROM webhook_endpoints w
    WHERE w.client_id = ANY (p_client) AND w.is_active
      AND w.events && ARRAY['message.created', 'message.*', 'room.updated', 'room.*', '*']
  );
  IF told IS NOT NULL THEN
    quiet := (
      SELECT array_agg(r.id) FROM rooms r
      WHERE r.client_id = ANY (told) AND r.id = ANY (p_room) AND NOT r.is_active AND r.deactivated_reason = 'inactive'
    );
  END IF;
  RETURN QUERY
  WITH judged AS (
    SELECT i.*, c.seq AS base, greatest(p_now, c.last_change_at) AS at, r.is_active AS room_active,
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
      ) END AS existing_id
      FROM unnest(p_client, p_room, p_id, p_sender, p_as_member, p_content, p_type, p_meta, p_reply, p_client_message_id)
        WITH ORDINALITY AS x (client_id, room_id, id, sender_id, as_member, content, type, meta, reply_to, cmid, ord)
    ) i
    LEFT JOIN room_counters c ON c.client_id = i.client_id AND c.room_id = i.room_id
    LEFT JOIN rooms r ON r.client_id = i.client_id AND r.id = i.room_id
    LEFT JOIN users u ON u.client_id = i.client_id AND u.id = i.sender_id
    LEFT JOIN clients k ON k.id = i.client_id AND i.sender_id IS NULL
    LEFT JOIN room_members m ON m.client_id = i.client_id AND m.room_id = i.room_id AND m.user_id = i.sender_id
  ), numbered AS (
    SELECT j.*, CASE WHEN j.outcome = 'created' THEN j.base
      + count(*) FILTER (WHERE j.outcome = 'created') OVER (PARTITION BY j.client_id, j.room_id ORDER BY j.ord) END AS seq
    FROM judged j
  ), bumped AS (
    UPDATE room_counters c SET seq = t.seq, message_count = c.message_count + t.n, last_message_at = t.at, last_change_at = t.at
    FROM (
      SELECT g.client_id, g.room_id, max(g.seq) AS seq, count(*) AS n, max(g.at) AS at
      FROM numbered g WHERE g.seq IS NOT NULL GROUP BY 1, 2
    ) t
    WHERE c.client_id = t.client_id AND c.room_id = t.room_id
  ), revived AS (
    UPDATE rooms r SET is_active = true, deactivated_reason = NULL, updated_at = p_now
    FROM (SELECT DISTINCT g.client_id, g.room_id FROM numbered g WHERE g.seq IS NOT NULL AND NOT g.room_active) t
    WHERE r.client_id = t.client_id AND r.id = t.room_id
  ), inserted AS (
    INSERT INTO messages (client_id, id, room_id, seq, change_seq, sender_id, content, message_type, meta, reply_to,
      client_message_id, created_at, updated_at)
    SELECT g.client_id, g.id, g.room_id, g.seq, g.seq, g.sender_id, g.content, g.type, g.meta::jsonb, g.reply_to, g.cmid,
      g.at, g.at
    FROM numbered g WHERE g.seq IS NOT NULL
  )
  SELECT n.outcome, CASE WHEN n.seq IS NULL THEN n.existing_id ELSE n.id END, n.seq, n.at, n.sender_name::text,
    told IS NOT NULL
  FROM numbered n ORDER BY n.ord;
  IF told IS NOT NULL THEN
    PERFORM log_sends(told, p_id, quiet);
  END IF;
END $$;
`;

const DOWN = `
DROP FUNCTION store_messages(timestamptz, uuid[], uuid[], uuid[], uuid[], boolean[], text[], text[], text[], uuid[], text[]);
DROP FUNCTION store_message(timestamptz, uuid, uuid, uuid, uuid, boolean, text, text, text, uuid, text);
DROP FUNCTION log_sends(uuid[], uuid[], uuid[]);
ALTER TABLE rooms DROP COLUMN active_since;
`;

/** The functions that store messages, with the facts webhooks are told of in the same commit. */
export class StoreMessages1764000100000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(UP);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(DOWN);
  }
}
