import { Injectable } from '@nestjs/common';
import { Database } from '#libs/database';
import type { MemberRoom, RoomPosition } from '#libs/realtime';

/** What the real-time channel asks about rooms, many at a time. */
@Injectable()
export class RoomPresenceRepository {
  constructor(private readonly database: Database) {}

  /** The rooms of users, with the room's number and that of the user's joining. Uses room_members_user_idx. */
  async roomsOf(clientId: string, userIds: string[]): Promise<Map<string, MemberRoom[]>> {
    const rows = await this.database.query<{ user_id: string; room_id: string; seq: number; since: number }>(
      `SELECT m.user_id, m.room_id, c.seq, m.change_seq AS since FROM room_members m
       JOIN room_counters c ON c.client_id = m.client_id AND c.room_id = m.room_id
       WHERE m.client_id = $1 AND m.user_id = ANY($2::uuid[]) AND m.left_at IS NULL`,
      [clientId, userIds],
    );
    const rooms = new Map<string, MemberRoom[]>();
    for (const { user_id, room_id, seq, since } of rows) {
      const own = rooms.get(user_id) ?? rooms.set(user_id, []).get(user_id)!;
      own.push({ roomId: room_id, seq, since });
    }
    return rooms;
  }

  /** Numbers of rooms of any tenants. */
  async positions(rooms: { clientId: string; roomId: string }[]): Promise<RoomPosition[]> {
    const rows = await this.database.query<{ client_id: string; room_id: string; seq: number }>(
      `SELECT c.client_id, c.room_id, c.seq FROM unnest($1::uuid[], $2::uuid[]) AS asked (client_id, room_id)
       JOIN room_counters c ON c.client_id = asked.client_id AND c.room_id = asked.room_id`,
      [rooms.map((room) => room.clientId), rooms.map((room) => room.roomId)],
    );
    return rows.map((row) => ({ clientId: row.client_id, roomId: row.room_id, seq: row.seq }));
  }

  /** Which of the users are members. */
  async membersAmong(clientId: string, roomId: string, userIds: string[]): Promise<string[]> {
    const rows = await this.database.query<{ user_id: string }>(
      `SELECT user_id FROM room_members WHERE client_id = $1 AND room_id = $2 AND user_id = ANY($3::uuid[]) AND left_at IS NULL
       ORDER BY user_id`,
      [clientId, roomId, userIds],
    );
    return rows.map((row) => row.user_id);
  }

  /** Users who share a room with a user; at most `limit` memberships are looked at. */
  async companionsOf(clientId: string, userId: string, limit: number): Promise<string[]> {
    const rows = await this.database.query<{ user_id: string }>(
      `SELECT DISTINCT user_id FROM (
         SELECT o.user_id FROM room_members m
         JOIN room_members o ON o.client_id = m.client_id AND o.room_id = m.room_id AND o.left_at IS NULL
         WHERE m.client_id = $1 AND m.user_id = $2 AND m.left_at IS NULL LIMIT $3
       ) AS looked_at ORDER BY user_id`,
      [clientId, userId, limit],
    );
    return rows.map((row) => row.user_id);
  }

  /** The name a member shows to the others of the room. */
  async nameOf(clientId: string, userId: string): Promise<string | undefined> {
    const [row] = await this.database.query<{ name: string }>(
      'SELECT coalesce(full_name, username) AS name FROM users WHERE client_id = $1 AND id = $2 AND deleted_at IS NULL',
      [clientId, userId],
    );
    return row?.name;
  }
}
