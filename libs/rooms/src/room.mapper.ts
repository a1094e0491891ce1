import type { RoomMemberDto } from './room-member.dto.js';
import type { LastMessageDto, Role, RoomDto, RoomType, Visibility } from './room.dto.js';

/** Most unread messages that are counted. */
export const UNREAD_CAP = 1000;

/** A room with its counters, and a member's view of it when read for one. */
export interface RoomRow {
  id: string;
  name: string | null;
  description: string | null;
  room_type: RoomType;
  visibility: Visibility;
  max_members: number;
  meta: object;
  is_active: boolean;
  deactivated_reason: 'manual' | 'inactive' | null;
  created_by: string | null;
  member_count: number;
  message_count: number;
  seq: number;
  last_message_at: Date | null;
  created_at: Date;
  updated_at: Date;
  role?: Role;
  last_read_seq?: number;
  unread?: number;
  last_message?: (Omit<LastMessageDto, 'created_at'> & { created_at: string }) | null;
}

/** Columns of a room (`r`) with its counters (`c`). */
export const ROOM_COLUMNS = `r.id, r.name, r.description, r.room_type, r.visibility, r.max_members, r.meta, r.is_active,
  r.deactivated_reason, r.created_by, c.member_count, c.message_count, c.seq, c.last_message_at, r.created_at, r.updated_at`;

/** Rooms with their counters. */
export const ROOMS = 'rooms r JOIN room_counters c ON c.client_id = r.client_id AND c.room_id = r.id';

/** Row → contract. */
export function toRoomDto(row: RoomRow): RoomDto {
  const dto: RoomDto = {
    id: row.id,
    name: row.name,
    description: row.description,
    room_type: row.room_type,
    visibility: row.visibility,
    max_members: row.max_members,
    meta: row.meta,
    is_active: row.is_active,
    deactivated_reason: row.deactivated_reason,
    created_by: row.created_by,
    member_count: row.member_count,
    message_count: row.message_count,
    seq: row.seq,
    last_message_at: row.last_message_at?.toISOString() ?? null,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
  if (row.role === undefined) return dto;
  dto.role = row.role;
  dto.last_read_seq = row.last_read_seq!;
  Object.assign(dto, unreadOf(row.unread!));
  dto.last_message = row.last_message
    ? { ...row.last_message, created_at: new Date(row.last_message.created_at).toISOString() }
    : null;
  return dto;
}

/** A count that stopped at the cap → contract. */
export function unreadOf(counted: number): { unread_count: number; unread_capped: boolean } {
  return { unread_count: Math.min(counted, UNREAD_CAP), unread_capped: counted > UNREAD_CAP };
}

/** A membership with the user's name. */
export interface RoomMemberRow {
  room_id: string;
  user_id: string;
  user_name: string;
  role: Role;
  joined_at: Date;
  left_at: Date | null;
  last_read_seq: number;
}

/** Row → contract. */
export function toRoomMemberDto(row: RoomMemberRow): RoomMemberDto {
  return {
    room_id: row.room_id,
    user_id: row.user_id,
    user_name: row.user_name,
    role: row.role,
    joined_at: row.joined_at.toISOString(),
    left_at: row.left_at?.toISOString() ?? null,
    last_read_seq: row.last_read_seq,
  };
}
