import { Flag, Id, Ids, Instant, Int, ListQueryDto, Nullable, OneOf, Optional, Text } from '#libs/common';
import { ApiProperty } from '@nestjs/swagger';
import { IsObject } from 'class-validator';
import { ROLES, type Role } from './room.dto.js';

/** A membership. */
export class RoomMemberDto {
  /** The room. */
  @Id()
  room_id: string;

  /** The user. */
  @Id()
  user_id: string;

  /** The user's name. */
  @Text(0, 255, { example: 'John Doe' })
  user_name: string;

  /** What the member may do. */
  @OneOf(ROLES, { example: 'member' })
  role: Role;

  /** When the user joined. */
  @Instant()
  joined_at: string;

  /** When the user left; null: still a member. */
  @Nullable()
  @Instant()
  left_at: string | null;

  /** The member's read cursor. */
  @Int(0, Number.MAX_SAFE_INTEGER)
  last_read_seq: number;
}

/** Who joins; a user key joins itself. */
export class RoomJoinDto {
  /** With a client key: the user who joins. */
  @Optional()
  @Id()
  user_id?: string;

  /** With a client key: the role. */
  @Optional()
  @OneOf(ROLES, { example: 'member' })
  role?: Role;
}

/** Who leaves; a user key leaves itself. */
export class RoomLeaveDto {
  /** With a client key: the user who leaves. */
  @Optional()
  @Id()
  user_id?: string;
}

/** Users to add. */
export class RoomMembersAddDto {
  /** The users, 1–100. */
  @Ids(1, 100)
  user_ids: string[];

  /** Their role. */
  @Optional()
  @OneOf(['admin', 'member'], { example: 'member' })
  role?: Role = 'member';
}

/** The memberships after adding, in the order asked for. */
export class RoomMembersAddedDto {
  /** One per user. */
  @ApiProperty({ type: () => [RoomMemberDto] })
  @IsObject({ each: true })
  members: RoomMemberDto[];
}

/** A member's new role. */
export class RoomMemberUpdateDto {
  /** What the member may do. */
  @OneOf(ROLES, { example: 'admin' })
  role: Role;
}

/** How members are listed. */
export class RoomMemberListQueryDto extends ListQueryDto {
  /** Only members with this role. */
  @Optional()
  @OneOf(ROLES, { example: 'member' })
  role?: Role;

  /** Sort column; created_at is when the member joined. */
  @Optional()
  @OneOf(['created_at'])
  override sort?: string = 'created_at';
}

/** Up to where the caller has read: one of the two. */
export class RoomReadDto {
  /** A seq of the room. */
  @Optional()
  @Int(0, Number.MAX_SAFE_INTEGER)
  seq?: number;

  /** A message of the room. */
  @Optional()
  @Id()
  message_id?: string;
}

/** The caller's read state. */
export class RoomReadStateDto {
  /** The room. */
  @Id()
  room_id: string;

  /** The read cursor. */
  @Int(0, Number.MAX_SAFE_INTEGER)
  last_read_seq: number;

  /** Messages of others after the cursor, exact up to 1,000. */
  @Int(0, 1000)
  unread_count: number;

  /** True when more than 1,000 are unread. */
  @Flag()
  unread_capped: boolean;
}
