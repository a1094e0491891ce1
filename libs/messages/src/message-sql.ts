/** RFC 3339 text of a timestamp, made by PostgreSQL. */
function time(column: string): string {
  return `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
}

/** A message (`x`, with its sender `u` and client `k`) as the contract's JSON. */
export const MESSAGE_JSON = `json_build_object('id', x.id, 'room_id', x.room_id, 'seq', x.seq, 'sender_id', x.sender_id,
  'sender_name', CASE WHEN x.sender_id IS NULL THEN k.name ELSE coalesce(u.full_name, u.username, 'Deleted user') END,
  'content', x.content, 'message_type', x.message_type, 'meta', x.meta, 'reply_to', x.reply_to,
  'client_message_id', x.client_message_id, 'is_edited', x.edited_at IS NOT NULL, 'edited_at', ${time('x.edited_at')},
  'edit_reason', x.edit_reason, 'is_deleted', x.deleted_at IS NOT NULL, 'deleted_at', ${time('x.deleted_at')},
  'created_at', ${time('x.created_at')}, 'updated_at', ${time('x.updated_at')})`;

/** Messages with what {@link MESSAGE_JSON} needs. */
export const MESSAGES = `messages x JOIN clients k ON k.id = x.client_id
  LEFT JOIN users u ON u.client_id = x.client_id AND u.id = x.sender_id`;

/**
 * Changes of a room after $3, at most $4 in order: messages and memberships as they are now. Two index ranges, rows
 * unchanged since creation by messages_room_seq_key and changed ones by messages_changed_idx.
 */
export const CHANGES_SQL = `
WITH changed AS (
  (SELECT x.id, x.change_seq FROM messages x WHERE x.client_id = $1 AND x.room_id = $2 AND x.seq > $3 AND x.change_seq = x.seq
   ORDER BY x.seq LIMIT $4)
  UNION ALL
  (SELECT x.id, x.change_seq FROM messages x WHERE x.client_id = $1 AND x.room_id = $2 AND x.change_seq > $3
     AND x.change_seq <> x.seq ORDER BY x.change_seq LIMIT $4)
), frames AS (
  (SELECT c.change_seq AS seq, CASE WHEN x.deleted_at IS NOT NULL THEN 'message_deleted'
      WHEN x.change_seq = x.seq OR x.seq > $3 THEN 'message' ELSE 'message_updated' END AS type,
    CASE WHEN x.deleted_at IS NOT NULL
      THEN json_build_object('id', x.id, 'deleted_by', x.deleted_by, 'deleted_at', ${time('x.deleted_at')})
      ELSE ${MESSAGE_JSON} END AS data, x.updated_at AS at
  FROM changed c JOIN ${MESSAGES} ON x.client_id = $1 AND x.id = c.id)
  UNION ALL
  (SELECT m.change_seq, CASE WHEN m.left_at IS NULL THEN 'user_joined' ELSE 'user_left' END,
    CASE WHEN m.left_at IS NULL
      THEN json_build_object('user_id', m.user_id, 'user_name', coalesce(u.full_name, u.username, 'Deleted user'),
        'joined_at', ${time('m.joined_at')})
      ELSE json_build_object('user_id', m.user_id, 'user_name', coalesce(u.full_name, u.username, 'Deleted user'),
        'left_at', ${time('m.left_at')}, 'reason', 'left') END, coalesce(m.left_at, m.joined_at)
  FROM room_members m JOIN users u ON u.client_id = m.client_id AND u.id = m.user_id
  WHERE m.client_id = $1 AND m.room_id = $2 AND m.change_seq > $3 AND m.change_seq > 0 ORDER BY m.change_seq LIMIT $4)
)
SELECT seq, type, data, ${time('at')} AS timestamp FROM frames ORDER BY seq LIMIT $4`;

/**
 * Access, exact total and one page of a room in one round trip: $1 client, $2 room, $3 user or null, $4 size, $5 the seq
 * the cursor stands at or null, $6 offset. The page is not read for a user who is no member. Uses messages_room_seq_key.
 */
export function roomPageSql(order: 'asc' | 'desc', byCursor: boolean): string {
  const after = order === 'asc' ? '>' : '<';
  // Two texts instead of an OR, so that the cursor is always a bound of the index range.
  const from = byCursor ? `AND y.seq ${after} $5::bigint` : 'AND $5::bigint IS NULL';
  return `
SELECT m.user_id IS NOT NULL AS is_member, c.message_count AS total, p.rows, p.more, p.last_seq, p.last_id
FROM rooms r
JOIN room_counters c ON c.client_id = r.client_id AND c.room_id = r.id
LEFT JOIN room_members m ON m.client_id = r.client_id AND m.room_id = r.id AND m.user_id = $3::uuid AND m.left_at IS NULL
LEFT JOIN LATERAL (
  SELECT string_agg(q.json, ',' ORDER BY q.n) FILTER (WHERE q.n <= $4::bigint) AS rows, count(*) > $4::bigint AS more,
    max(q.seq) FILTER (WHERE q.n = least($4::bigint, q.found)) AS last_seq,
    (array_agg(q.id) FILTER (WHERE q.n = least($4::bigint, q.found)))[1] AS last_id
  FROM (
    SELECT ${MESSAGE_JSON}::text AS json, x.seq, x.id, row_number() OVER () AS n, count(*) OVER () AS found
    FROM (
      SELECT * FROM messages y
      WHERE y.client_id = $1 AND y.room_id = $2 AND y.deleted_at IS NULL ${from}
      ORDER BY y.seq ${order.toUpperCase()} LIMIT $4::bigint + 1 OFFSET $6::bigint
    ) x JOIN clients k ON k.id = x.client_id LEFT JOIN users u ON u.client_id = x.client_id AND u.id = x.sender_id
    ORDER BY x.seq ${order.toUpperCase()}
  ) q
) p ON $3::uuid IS NULL OR m.user_id IS NOT NULL
WHERE r.client_id = $1 AND r.id = $2`;
}
