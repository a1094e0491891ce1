/** Where a page of a room begins. */
export type PageStart = 'newest' | 'cursor' | 'offset';

/**
 * Access, exact total and one page of a room in one round trip; each row repeats access and total, and an empty page is
 * one row of nulls. The page is not read for a user who is no member. $1 client, $2 room, $3 user or null, then by `start`:
 * $4 the seq the cursor stands at, or $4 the offset. Limit and start are part of the text: with bounds the planner knows
 * nothing of, it would plan every call anew, at twice what the page itself costs. Uses messages_room_seq_key. A room is
 * there when its counters are, and the tenant's name is looked up only for a message without a sender. Timestamps are
 * seconds, the cheapest to write and read; `updated` is null where it is `created`.
 */
export function roomPageSql(order: 'asc' | 'desc', start: PageStart, limit: number): string {
  const after = start === 'cursor' ? `AND y.seq ${order === 'asc' ? '>' : '<'} $4::bigint` : '';
  const offset = start === 'offset' ? 'OFFSET $4::bigint' : '';
  return `
SELECT m.user_id IS NOT NULL AS is_member, c.message_count AS total, p.*
FROM room_counters c
LEFT JOIN room_members m ON m.client_id = c.client_id AND m.room_id = c.room_id AND m.user_id = $3::uuid AND m.left_at IS NULL
LEFT JOIN LATERAL (
  SELECT x.id, x.seq, x.sender_id, CASE WHEN x.sender_id IS NULL THEN (SELECT k.name FROM clients k WHERE k.id = $1)
      ELSE coalesce(u.full_name, u.username, 'Deleted user') END AS sender_name,
    x.content, x.message_type, x.meta, x.reply_to, x.client_message_id, date_part('epoch', x.edited_at) AS edited,
    x.edit_reason, date_part('epoch', x.created_at) AS created,
    CASE WHEN x.updated_at <> x.created_at THEN date_part('epoch', x.updated_at) END AS updated
  FROM (
    SELECT * FROM messages y
    WHERE y.client_id = $1 AND y.room_id = $2 AND y.deleted_at IS NULL ${after}
    ORDER BY y.seq ${order.toUpperCase()} LIMIT ${limit} ${offset}
  ) x LEFT JOIN users u ON u.client_id = $1 AND u.id = x.sender_id
) p ON $3::uuid IS NULL OR m.user_id IS NOT NULL
WHERE c.client_id = $1 AND c.room_id = $2
ORDER BY p.seq ${order.toUpperCase()}`;
}

/** A row of {@link roomPageSql}, as text. */
export type RoomPageRow = [
  isMember: string,
  total: string,
  id: string | null,
  seq: string,
  senderId: string | null,
  senderName: string,
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
    `"sender_name":${JSON.stringify(senderName)},"content":${JSON.stringify(content)},"message_type":"${type}",` +
    `"meta":${meta},"reply_to":${orNull(replyTo)},"client_message_id":${JSON.stringify(clientMessageId)},` +
    `"is_edited":${edited !== null},"edited_at":${edited === null ? 'null' : time(edited)},` +
    `"edit_reason":${JSON.stringify(editReason)},"is_deleted":false,"deleted_at":null,` +
    `"created_at":${created},"updated_at":${changed === null ? created : time(changed)}}`
  );
}
