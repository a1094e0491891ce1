/**
 * Pages of rooms, each with access and exact total, in one round trip: every row names its page by its place in the
 * parameters (`n`), and a page without messages is one row of nulls. A room that is not there has no row. `total` is null
 * for a user who is no member, and nothing is read for them. For each page: $1 client, $2 room, $3 user or null, $4 the seq
 * before (or, ascending, after) which it begins, $5 how many messages it skips. The limit is part of the text, so that the
 * planner knows it. Uses messages_room_seq_key, where what was deleted lies apart; everything else is looked up by
 * primary key, and asks no more than that: with `left_at IS NULL` in its condition the membership would be looked for
 * among all of the user's rooms. A room is there when its counters are. Timestamps are seconds, the cheapest to write and
 * read; `updated` is null where it is `created`. Rows come in no order that SQL would promise.
 */
export function roomPagesSql(order: 'asc' | 'desc', limit: number): string {
  const allowed = 'i.user_id IS NULL OR m.user_id IS NOT NULL AND m.left_at IS NULL';
  return `
SELECT i.n, CASE WHEN ${allowed} THEN c.message_count END AS total, x.id, x.seq, x.sender_id,
  CASE WHEN x.sender_id IS NULL THEN (SELECT k.name FROM clients k WHERE k.id = i.client_id)
    ELSE (SELECT coalesce(u.full_name, u.username) FROM users u WHERE u.client_id = i.client_id AND u.id = x.sender_id)
  END AS sender_name,
  x.content, x.message_type, x.meta, x.reply_to, x.client_message_id, date_part('epoch', x.edited_at) AS edited,
  x.edit_reason, date_part('epoch', x.created_at) AS created,
  CASE WHEN x.updated_at <> x.created_at THEN date_part('epoch', x.updated_at) END AS updated
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::bigint[]) WITH ORDINALITY
  AS i (client_id, room_id, user_id, start, skipped, n)
JOIN room_counters c ON c.client_id = i.client_id AND c.room_id = i.room_id
LEFT JOIN room_members m ON m.client_id = i.client_id AND m.room_id = i.room_id AND m.user_id = i.user_id
LEFT JOIN LATERAL (
  SELECT * FROM messages y
  WHERE y.client_id = i.client_id AND y.room_id = i.room_id AND y.deleted_at IS NULL
    AND y.seq ${order === 'asc' ? '>' : '<'} i.start
  ORDER BY y.seq ${order.toUpperCase()} LIMIT ${limit} OFFSET i.skipped
) x ON ${allowed}`;
}

/** A row of {@link roomPagesSql}, as text. */
export type RoomPageRow = [
  n: string,
  total: string | null,
  id: string | null,
  seq: string,
  senderId: string | null,
  senderName: string | null,
  content: string,
  type: string,
  meta: string,
  replyTo: string | null,
  clientMessageId: string | null,
  edited: string | null,
  editReason: string | null,
  created: string,
  updated: string | null,
];

/** Text without a character JSON escapes. */
const quoted = (text: string): string => `"${text}"`;
const orNull = (text: string | null): string => (text === null ? 'null' : quoted(text));
const time = (seconds: string): string => quoted(new Date(Math.round(Number(seconds) * 1000)).toISOString());

/** A row with a message → the message as JSON: fields and order of MESSAGE_COLUMNS. */
export function renderMessage(roomId: string, row: RoomPageRow): string {
  const [
    ,
    ,
    id,
    seq,
    senderId,
    senderName,
    content,
    type,
    meta,
    replyTo,
    clientMessageId,
    edited,
    editReason,
    at,
    changed,
  ] = row;
  const created = time(at);
  return (
    `{"id":"${id}","room_id":"${roomId}","seq":${seq},"sender_id":${orNull(senderId)},` +
    `"sender_name":${JSON.stringify(senderName ?? 'Deleted user')},"content":${JSON.stringify(content)},` +
    `"message_type":"${type}","meta":${meta},"reply_to":${orNull(replyTo)},` +
    `"client_message_id":${JSON.stringify(clientMessageId)},` +
    `"is_edited":${edited !== null},"edited_at":${edited === null ? 'null' : time(edited)},` +
    `"edit_reason":${JSON.stringify(editReason)},"is_deleted":false,"deleted_at":null,` +
    `"created_at":${created},"updated_at":${changed === null ? created : time(changed)}}`
  );
}
