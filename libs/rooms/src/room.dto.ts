import { Flag, Id, Ids, Instant, Int, ListQueryDto, Meta, Nullable, OneOf, Optional, Text } from '#libs/common';
import { ApiProperty } from '@nestjs/swagger';
import { IsObject } from 'class-validator';

/** Kinds of room. */
export const ROOM_TYPES = ['direct', 'group', 'channel', 'support'] as const;
/** Who may join by themselves. */
export const VISIBILITIES = ['public', 'private'] as const;
/** What a member may do. */
export const ROLES = ['owner', 'admin', 'member'] as const;

/** One of {@link ROOM_TYPES}. */
export type RoomType = (typeof ROOM_TYPES)[number];
/** One of {@link VISIBILITIES}. */
export type Visibility = (typeof VISIBILITIES)[number];
/** One of {@link ROLES}. */
export type Role = (typeof ROLES)[number];

/** The newest message of a room, in short. */
export class LastMessageDto {
  /** Identifier of the message. */
  @Id()
  id: string;

  /** Its place in the room. */
  @Int(1, Number.MAX_SAFE_INTEGER)
  seq: number;

  /** Who sent it; null: the client itself. */
  @Nullable()
  @Id()
  sender_id: string | null;

  /** Its text. */
  @Text(1, 10_000, { example: 'Hello, everyone!' })
  content: string;

  /** Its kind. */
  @Text(1, 8, { example: 'text' })
  message_type: string;

  /** When it was sent. */
  @Instant()
  created_at: string;
}

/** A room. */
export class RoomDto {
  /** Identifier. */
  @Id()
  id: string;

  /** Name; null for a direct room. */
  @Nullable()
  @Text(1, 100, { example: 'General' })
  name: string | null;

  /** What it is about. */
  @Nullable()
  @Text(0, 2000, { example: 'Everything' })
  description: string | null;

  /** Kind of room. */
  @OneOf(ROOM_TYPES, { example: 'group' })
  room_type: RoomType;

  /** Whether users may join by themselves. */
  @OneOf(VISIBILITIES)
  visibility: Visibility;

  /** Most members at a time. */
  @Int(2, 100_000, { example: 100 })
  max_members: number;

  /** Free data of the integrator. */
  @Meta()
  meta: object;

  /** Whether the room takes messages; an inactive one wakes with the next. */
  @Flag()
  is_active: boolean;

  /** Why it is not active. */
  @Nullable()
  @OneOf(['manual', 'inactive'])
  deactivated_reason: 'manual' | 'inactive' | null;

  /** The user who created it; null: the client. */
  @Nullable()
  @Id()
  created_by: string | null;

  /** Members now. */
  @Int(0, 100_000, { example: 2 })
  member_count: number;

  /** Messages that are not deleted. */
  @Int(0, Number.MAX_SAFE_INTEGER)
  message_count: number;

  /** Number of the latest change of the conversation. */
  @Int(0, Number.MAX_SAFE_INTEGER)
  seq: number;

  /** When the latest message was sent. */
  @Nullable()
  @Instant()
  last_message_at: string | null;

  /** When it was created. */
  @Instant()
  created_at: string;

  /** When it was last changed. */
  @Instant()
  updated_at: string;

  /** In a user's own list: that user's role. */
  @Optional()
  @OneOf(ROLES)
  role?: Role;

  /** In a user's own list: messages of others after the read cursor, exact up to 1,000. */
  @Optional()
  @Int(0, 1000)
  unread_count?: number;

  /** True when more than 1,000 are unread. */
  @Optional()
  @Flag()
  unread_capped?: boolean;

  /** In a user's own list: the read cursor. */
  @Optional()
  @Int(0, Number.MAX_SAFE_INTEGER)
  last_read_seq?: number;

  /** In a user's own list: the newest message. */
  @Optional()
  @Nullable()
  @ApiProperty({ type: () => LastMessageDto, nullable: true })
  @IsObject()
  last_message?: LastMessageDto | null;
}

/** What creates a room. */
export class RoomCreateDto {
  /** Name, 1–100 characters; required but for a direct room, which has none. */
  @Optional()
  @Nullable()
  @Text(1, 100, { example: 'General' })
  name?: string | null;

  /** What it is about, at most 2,000 characters. */
  @Optional()
  @Nullable()
  @Text(0, 2000, { example: 'Everything' })
  description?: string | null;

  /** Kind of room. */
  @Optional()
  @OneOf(ROOM_TYPES, { example: 'group' })
  room_type?: RoomType = 'group';

  /** Whether users may join by themselves; a direct room is private. */
  @Optional()
  @OneOf(VISIBILITIES)
  visibility?: Visibility;

  /** Most members at a time, 2–100,000; 2 for a direct room. */
  @Optional()
  @Int(2, 100_000, { example: 100 })
  max_members?: number;

  /** Free data, a JSON object of at most 16 KiB. */
  @Optional()
  @Meta()
  meta?: object;

  /** Users who are members from the start, at most 100. */
  @Optional()
  @Ids(0, 100)
  member_ids?: string[];

  /** With a client key: the user who owns the room. */
  @Optional()
  @Id()
  owner_id?: string;
}

/** Changes to a room; what is left out stays. */
export class RoomUpdateDto {
  /** Name, 1–100 characters. */
  @Optional()
  @Text(1, 100, { example: 'General' })
  name?: string;

  /** What it is about, at most 2,000 characters. */
  @Optional()
  @Nullable()
  @Text(0, 2000, { example: 'Everything' })
  description?: string | null;

  /** Whether users may join by themselves. */
  @Optional()
  @OneOf(VISIBILITIES)
  visibility?: Visibility;

  /** Most members at a time, 2–100,000, not below the present count. */
  @Optional()
  @Int(2, 100_000, { example: 100 })
  max_members?: number;

  /** Free data; replaces what was there. */
  @Optional()
  @Meta()
  meta?: object;

  /** False: the room refuses messages until it is set to true. */
  @Optional()
  @Flag()
  is_active?: boolean;
}

/** How all rooms of a client are listed. */
export class RoomListAllQueryDto extends ListQueryDto {
  /** Only rooms of this kind. */
  @Optional()
  @OneOf(ROOM_TYPES, { example: 'group' })
  room_type?: RoomType;

  /** Only active, or only inactive rooms. */
  @Optional()
  @Flag()
  is_active?: boolean;

  /** Part of the name, without regard to case. */
  @Optional()
  @Text(1, 100, { example: 'gen' })
  search?: string;

  /** Sort column. */
  @Optional()
  @OneOf(['created_at', 'updated_at', 'last_message_at', 'name'])
  override sort?: string = 'created_at';
}

/** How rooms are listed. */
export class RoomListQueryDto extends RoomListAllQueryDto {
  /** With a client key: this user's rooms. */
  @Optional()
  @Id()
  user_id?: string;
}
