import { Injectable } from '@nestjs/common';
import type { Page } from '#libs/common';
import type { LeaveReason } from '#libs/contracts';
import { addDateRange, Conditions, Database, listPage, type Tx } from '#libs/database';
import type { RoomMemberDto, RoomMemberListQueryDto } from './room-member.dto.js';
import type { Role } from './room.dto.js';
import { toRoomMemberDto, UNREAD_CAP, type RoomMemberRow } from './room.mapper.js';

// Looked up for the members that are shown: a join may be planned as all users of the tenant for each member of the room,
// for a tenant the planner does not know to be big yet.
const nameOf = (member: string): string => `(SELECT coalesce(u.full_name, u.username, 'Deleted user') FROM users u
  WHERE u.client_id = ${member}.client_id AND u.id = ${member}.user_id) AS user_name`;

const MEMBER = `m.room_id, m.user_id, ${nameOf('m')}, m.role, m.joined_at, m.left_at, m.last_read_seq`;

/** A change of a membership: its seq and time, and the name the user has now. */
export interface MembershipChange {
  seq: number;
  at: Date;
  user_name: string;
}

/** The end of a membership. */
export interface MembershipEnd extends MembershipChange {
  room_id: string;
  /** What the user was there. */
  role: Role;
}

/** A room whose counters are locked by this transaction. */
export interface LockedRoom {
  visibility: string;
  max_members: number;
  member_count: number;
  /** The ids of the two a direct room is for. */
  direct_key: string | null;
}

/** Every query on memberships. */
@Injectable()
export class RoomMembersRepository {
  constructor(private readonly database: Database) {}

  /** Locks the conversation; whoever changes it holds this lock, so checks made under it stay true until commit. */
  async lockRoom(tx: Tx, clientId: string, roomId: string): Promise<LockedRoom | undefined> {
    await tx.query('SELECT 1 FROM room_counters WHERE client_id = $1 AND room_id = $2 FOR UPDATE', [clientId, roomId]);
    const [row] = await tx.query<LockedRoom>(
      `SELECT r.visibility, r.max_members, r.direct_key, c.member_count FROM rooms r
       JOIN room_counters c ON c.client_id = r.client_id AND c.room_id = r.id WHERE r.client_id = $1 AND r.id = $2`,
      [clientId, roomId],
    );
    return row;
  }

  /**
   * Which of the ids are users of this client who can join. None of them is deleted before this transaction ends; a
   * deletion holds the user and then locks rooms, so this comes before any room is locked.
   */
  async holdUsers(tx: Tx, clientId: string, userIds: string[]): Promise<Set<string>> {
    const rows = await tx.query<{ id: string }>(
      `SELECT id FROM users WHERE client_id = $1 AND id = ANY($2::uuid[]) AND deleted_at IS NULL ORDER BY id FOR SHARE`,
      [clientId, userIds],
    );
    return new Set(rows.map((row) => row.id));
  }

  /** Which of the users are members now. */
  async presentAmong(tx: Tx, clientId: string, roomId: string, userIds: string[]): Promise<Set<string>> {
    const rows = await tx.query<{ user_id: string }>(
      `SELECT user_id FROM room_members
       WHERE client_id = $1 AND room_id = $2 AND user_id = ANY($3::uuid[]) AND left_at IS NULL`,
      [clientId, roomId, userIds],
    );
    return new Set(rows.map((row) => row.user_id));
  }

  /** The membership, past ones included. */
  async find(tx: Tx | undefined, clientId: string, roomId: string, userId: string): Promise<RoomMemberRow | undefined> {
    const [row] = await (tx ?? this.database).query<RoomMemberRow>(
      `SELECT ${MEMBER} FROM room_members m WHERE m.client_id = $1 AND m.room_id = $2 AND m.user_id = $3`,
      [clientId, roomId, userId],
    );
    return row;
  }

  list(clientId: string, roomId: string, query: RoomMemberListQueryDto): Promise<Page<RoomMemberDto>> {
    const where = new Conditions()
      .add('m.client_id = ? AND m.room_id = ? AND m.left_at IS NULL', clientId, roomId)
      .when(query.role, 'm.role = ?');
    addDateRange(where, 'm.joined_at', query);
    const sorts = { created_at: { sql: 'm.joined_at', type: 'timestamptz' as const } };
    return listPage<RoomMemberRow, RoomMemberDto>(
      this.database,
      query,
      { select: MEMBER, from: 'room_members m', where, sorts, id: 'm.user_id' },
      toRoomMemberDto,
    );
  }

  /** Takes the next seq for a join or a leave; the counters are locked already. */
  async takeSeq(tx: Tx, clientId: string, roomId: string, memberDelta: number): Promise<{ seq: number; at: Date }> {
    const rows = await tx.query<{ seq: number; at: Date }>(
      `UPDATE room_counters SET seq = seq + 1, member_count = member_count + $3,
         last_change_at = greatest(clock_timestamp(), last_change_at)
       WHERE client_id = $1 AND room_id = $2 RETURNING seq, last_change_at AS at`,
      [clientId, roomId, memberDelta],
    );
    return rows[0]!;
  }

  /** Makes the user a member, again if it was one; what came before is not unread. */
  async insert(tx: Tx, clientId: string, roomId: string, userId: string, role: Role): Promise<MembershipChange> {
    const { seq, at } = await this.takeSeq(tx, clientId, roomId, 1);
    const rows = await tx.query<{ user_name: string }>(
      `INSERT INTO room_members (client_id, room_id, user_id, role, joined_at, change_seq, last_read_seq)
       VALUES ($1, $2, $3, $4, $5, $6, $6)
       ON CONFLICT (client_id, room_id, user_id) DO UPDATE SET role = excluded.role, joined_at = excluded.joined_at,
         left_at = NULL, left_reason = NULL, change_seq = excluded.change_seq, last_read_seq = excluded.last_read_seq
       RETURNING ${nameOf('room_members')}`,
      [clientId, roomId, userId, role, at, seq],
    );
    return { seq, at, user_name: rows[0]!.user_name };
  }

  /** Ends the user's memberships of these rooms, whose counters are locked; one that has ended already stays as it is. */
  async end(
    tx: Tx,
    clientId: string,
    userId: string,
    roomIds: string[],
    reason: LeaveReason,
  ): Promise<MembershipEnd[]> {
    // The second look at a membership takes its whole key from the first, so that it can only be looked up by it.
    return tx.query<MembershipEnd>(
      `WITH counted AS (
         UPDATE room_counters c SET seq = c.seq + 1, member_count = c.member_count - 1,
           last_change_at = greatest(clock_timestamp(), c.last_change_at)
         FROM room_members m
         WHERE m.client_id = $1 AND m.user_id = $2 AND m.room_id = ANY ($3::uuid[]) AND m.left_at IS NULL
           AND c.client_id = m.client_id AND c.room_id = m.room_id
         RETURNING m.client_id, m.room_id, m.user_id, c.seq, c.last_change_at AS at
       )
       UPDATE room_members m SET left_at = k.at, change_seq = k.seq, left_reason = $4 FROM counted k
       WHERE m.client_id = k.client_id AND m.room_id = k.room_id AND m.user_id = k.user_id
       RETURNING m.room_id, m.role, k.seq, k.at, ${nameOf('m')}`,
      [clientId, userId, roomIds, reason],
    );
  }

  /** Hands each room to its longest-standing admin, else member, where no owner is left. */
  async ensureOwner(tx: Tx, clientId: string, roomIds: string[]): Promise<void> {
    // OFFSET 0: were the planner told of left_at, it might look for the members of each room among all of the tenant.
    const members = '(SELECT * FROM room_members WHERE client_id = $1 AND room_id = r.room_id OFFSET 0) AS m';
    await tx.query(
      `WITH heirs AS MATERIALIZED (
         SELECT $1::uuid AS client_id, r.room_id, (SELECT m.user_id FROM ${members} WHERE m.left_at IS NULL
           ORDER BY m.role = 'admin' DESC, m.joined_at, m.user_id LIMIT 1) AS user_id
         FROM unnest($2::uuid[]) AS r (room_id)
         WHERE (SELECT true FROM ${members} WHERE m.left_at IS NULL AND m.role = 'owner' LIMIT 1) IS NULL
       )
       UPDATE room_members m SET role = 'owner' FROM heirs h
       WHERE m.client_id = h.client_id AND m.room_id = h.room_id AND m.user_id = h.user_id`,
      [clientId, roomIds],
    );
  }

  async setRole(tx: Tx, clientId: string, roomId: string, userId: string, role: Role): Promise<void> {
    await tx.query(
      'UPDATE room_members SET role = $4 WHERE client_id = $1 AND room_id = $2 AND user_id = $3 AND left_at IS NULL',
      [clientId, roomId, userId, role],
    );
  }

  /** Locks the conversations of all rooms the user is a member of, in the order in which they are locked by all. */
  async lockRoomsOf(tx: Tx, clientId: string, userId: string): Promise<string[]> {
    const rows = await tx.query<{ room_id: string }>(
      `SELECT c.room_id FROM room_members m
       JOIN room_counters c ON c.client_id = m.client_id AND c.room_id = m.room_id
       WHERE m.client_id = $1 AND m.user_id = $2 AND m.left_at IS NULL ORDER BY c.room_id FOR UPDATE OF c`,
      [clientId, userId],
    );
    return rows.map((row) => row.room_id);
  }

  /** The seq of a message of the room. */
  async seqOfMessage(clientId: string, roomId: string, messageId: string): Promise<number | undefined> {
    const [row] = await this.database.query<{ seq: number }>(
      'SELECT seq FROM messages WHERE client_id = $1 AND id = $3 AND room_id = $2',
      [clientId, roomId, messageId],
    );
    return row?.seq;
  }

  /** Moves the read cursor forward, never back and never past the room; answers cursor and capped unread count. */
  async markRead(
    clientId: string,
    roomId: string,
    userId: string,
    seq: number,
  ): Promise<{ last_read_seq: number; unread: number } | undefined> {
    const [row] = await this.database.query<{ last_read_seq: number; unread: number }>(
      `WITH moved AS (
         UPDATE room_members m SET last_read_seq = greatest(m.last_read_seq, least($4::bigint, c.seq))
         FROM room_counters c
         WHERE m.client_id = $1 AND m.room_id = $2 AND m.user_id = $3 AND m.left_at IS NULL
           AND c.client_id = m.client_id AND c.room_id = m.room_id
         RETURNING m.last_read_seq
       )
       SELECT moved.last_read_seq, (SELECT count(*) FROM (SELECT 1 FROM messages x WHERE x.client_id = $1 AND x.room_id = $2
         AND x.seq > moved.last_read_seq AND x.sender_id IS DISTINCT FROM $3 AND x.deleted_at IS NULL
         LIMIT ${UNREAD_CAP + 1}) AS unread) AS unread FROM moved`,
      [clientId, roomId, userId, seq],
    );
    return row;
  }
}
