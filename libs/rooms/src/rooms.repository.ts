import { Injectable } from '@nestjs/common';
import type { Page } from '#libs/common';
import { addDateRange, Conditions, Database, listPage, type SortColumn, type Sql, type Tx } from '#libs/database';
import type { Role, RoomDto, RoomListAllQueryDto, RoomUpdateDto } from './room.dto.js';
import { ROOM_COLUMNS, ROOMS, toRoomDto, UNREAD_CAP, type RoomRow } from './room.mapper.js';

const SORTS: Record<string, SortColumn> = {
  created_at: { sql: 'r.created_at', type: 'timestamptz' },
  updated_at: { sql: 'r.updated_at', type: 'timestamptz' },
  last_message_at: { sql: `coalesce(c.last_message_at, '-infinity')`, type: 'timestamptz' },
  name: { sql: `coalesce(r.name, '')`, type: 'text' },
};

// Stops counting one past the cap: costs what is unread, never the room. Uses messages_room_seq_key.
const UNREAD = `(SELECT count(*) FROM (SELECT 1 FROM messages x WHERE x.client_id = m.client_id AND x.room_id = m.room_id
  AND x.seq > m.last_read_seq AND x.sender_id IS DISTINCT FROM m.user_id AND x.deleted_at IS NULL
  LIMIT ${UNREAD_CAP + 1}) AS unread) AS unread`;

const LAST_MESSAGE = `(SELECT json_build_object('id', x.id, 'seq', x.seq, 'sender_id', x.sender_id, 'content', x.content,
    'message_type', x.message_type, 'created_at', x.created_at)
  FROM messages x WHERE x.client_id = m.client_id AND x.room_id = m.room_id AND x.deleted_at IS NULL
  ORDER BY x.seq DESC LIMIT 1) AS last_message`;

const MEMBER_VIEW = `${ROOM_COLUMNS}, m.role, m.last_read_seq, ${UNREAD}, ${LAST_MESSAGE}`;
const MEMBER_ROOMS = `${ROOMS} JOIN room_members m ON m.client_id = r.client_id AND m.room_id = r.id AND m.left_at IS NULL`;

/** What inserts a room. */
export interface RoomInsert {
  id: string;
  name: string | null;
  description: string | null;
  roomType: string;
  visibility: string;
  maxMembers: number;
  meta: object;
  createdBy: string | null;
  directKey: string | null;
}

/** Every query on rooms. Finders always take the client id. */
@Injectable()
export class RoomsRepository {
  constructor(private readonly database: Database) {}

  /** Inserts a room with its counters; undefined when the direct room of that pair exists. */
  async insert(tx: Tx, clientId: string, room: RoomInsert): Promise<boolean> {
    const rows = await tx.query(
      `INSERT INTO rooms (client_id, id, name, description, room_type, visibility, max_members, meta, created_by, direct_key,
         created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, now(), now())
       ON CONFLICT (client_id, direct_key) WHERE direct_key IS NOT NULL DO NOTHING RETURNING id`,
      [
        clientId,
        room.id,
        room.name,
        room.description,
        room.roomType,
        room.visibility,
        room.maxMembers,
        room.meta,
        room.createdBy,
        room.directKey,
      ],
    );
    if (rows.length === 0) return false;
    await tx.query('INSERT INTO room_counters (client_id, room_id, last_change_at) VALUES ($1, $2, now())', [
      clientId,
      room.id,
    ]);
    return true;
  }

  /** One room as the client sees it. */
  async find(sql: Sql | undefined, clientId: string, roomId: string): Promise<RoomRow | undefined> {
    const [row] = await (sql ?? this.database).query<RoomRow>(
      `SELECT ${ROOM_COLUMNS} FROM ${ROOMS} WHERE r.client_id = $1 AND r.id = $2`,
      [clientId, roomId],
    );
    return row;
  }

  /** The room of a pair, as the client sees it. */
  async findDirect(sql: Sql, clientId: string, directKey: string): Promise<RoomRow | undefined> {
    const [row] = await sql.query<RoomRow>(
      `SELECT ${ROOM_COLUMNS} FROM ${ROOMS} WHERE r.client_id = $1 AND r.direct_key = $2`,
      [clientId, directKey],
    );
    return row;
  }

  /** One room as a member sees it; undefined when the user is no member. */
  async findForMember(clientId: string, roomId: string, userId: string): Promise<RoomRow | undefined> {
    const [row] = await this.database.query<RoomRow>(
      `SELECT ${MEMBER_VIEW} FROM ${MEMBER_ROOMS} WHERE r.client_id = $1 AND r.id = $2 AND m.user_id = $3`,
      [clientId, roomId, userId],
    );
    return row;
  }

  /** Whether the room exists, and the user's role in it. */
  async access(
    sql: Sql | undefined,
    clientId: string,
    roomId: string,
    userId: string | undefined,
  ): Promise<{ role: Role | null } | undefined> {
    const [row] = await (sql ?? this.database).query<{ role: Role | null }>(
      `SELECT m.role FROM rooms r LEFT JOIN room_members m
         ON m.client_id = r.client_id AND m.room_id = r.id AND m.user_id = $3 AND m.left_at IS NULL
       WHERE r.client_id = $1 AND r.id = $2`,
      [clientId, roomId, userId ?? null],
    );
    return row;
  }

  /** All rooms of the client. */
  listAll(clientId: string, query: RoomListAllQueryDto): Promise<Page<RoomDto>> {
    const where = this.filters(new Conditions().add('r.client_id = ?', clientId), query);
    return listPage<RoomRow, RoomDto>(
      this.database,
      query,
      { select: ROOM_COLUMNS, from: ROOMS, where, sorts: SORTS, id: 'r.id' },
      toRoomDto,
    );
  }

  /** One user's rooms, with what is unread. */
  listOfUser(clientId: string, userId: string, query: RoomListAllQueryDto): Promise<Page<RoomDto>> {
    const where = this.filters(new Conditions().add('r.client_id = ?', clientId).add('m.user_id = ?', userId), query);
    return listPage<RoomRow, RoomDto>(
      this.database,
      query,
      { select: MEMBER_VIEW, from: MEMBER_ROOMS, where, sorts: SORTS, id: 'r.id' },
      toRoomDto,
    );
  }

  async update(tx: Tx, clientId: string, roomId: string, change: RoomUpdateDto): Promise<void> {
    const params: unknown[] = [clientId, roomId];
    const sets = ['updated_at = now()'];
    for (const column of ['name', 'description', 'visibility', 'max_members', 'meta', 'is_active'] as const) {
      if (change[column] === undefined) continue;
      params.push(change[column]);
      sets.push(`${column} = $${params.length}`);
    }
    if (change.is_active !== undefined) sets.push(`deactivated_reason = ${change.is_active ? 'NULL' : `'manual'`}`);
    if (change.is_active) sets.push('active_since = CASE WHEN is_active THEN active_since ELSE now() END');
    await tx.query(`UPDATE rooms SET ${sets.join(', ')} WHERE client_id = $1 AND id = $2`, params);
  }

  /** Erases a room with its messages; the counters are locked first, as by everyone who changes the conversation. */
  async erase(tx: Tx, clientId: string, roomId: string): Promise<void> {
    await tx.patient();
    await tx.query('SELECT 1 FROM room_counters WHERE client_id = $1 AND room_id = $2 FOR UPDATE', [clientId, roomId]);
    await tx.query('DELETE FROM messages WHERE client_id = $1 AND room_id = $2', [clientId, roomId]);
    await tx.query('DELETE FROM rooms WHERE client_id = $1 AND id = $2', [clientId, roomId]);
  }

  /**
   * Puts up to 500 rooms to rest that had no message, nor were switched on by hand, for as long as their kind allows;
   * answers them. The counters are locked, so a message that is just being sent is seen.
   */
  async deactivateQuiet(tx: Tx): Promise<(RoomRow & { client_id: string })[]> {
    return tx.query(
      `WITH quiet AS (
         SELECT c.* FROM room_counters c JOIN rooms r ON r.client_id = c.client_id AND r.id = c.room_id
         WHERE r.is_active AND greatest(coalesce(c.last_message_at, r.created_at), r.active_since) < now() - CASE r.room_type
           WHEN 'direct' THEN interval '90 days' WHEN 'group' THEN interval '30 days'
           WHEN 'channel' THEN interval '180 days' ELSE interval '7 days' END
         LIMIT 500 FOR UPDATE OF c SKIP LOCKED
       )
       UPDATE rooms r SET is_active = false, deactivated_reason = 'inactive', updated_at = now()
       FROM quiet c WHERE r.client_id = c.client_id AND r.id = c.room_id AND r.is_active
       RETURNING r.client_id, ${ROOM_COLUMNS}`,
    );
  }

  private filters(where: Conditions, query: RoomListAllQueryDto): Conditions {
    where.when(query.room_type, 'r.room_type = ?').when(query.is_active, 'r.is_active = ?');
    if (query.search !== undefined) where.add('strpos(lower(r.name), lower(?)) > 0', query.search);
    addDateRange(where, 'r.created_at', query);
    return where;
  }
}
