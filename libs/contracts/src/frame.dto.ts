import { Flag, Id, Ids, Instant, Int, Meta, Nullable, OneOf, Optional, Text } from '#libs/common';
import { ApiProperty, type ApiPropertyOptions } from '@nestjs/swagger';
import { IsObject } from 'class-validator';
import { LEAVE_REASONS } from './frames.js';

const ANY_SEQ = Number.MAX_SAFE_INTEGER;
const REF = {
  oneOf: [{ type: 'string', maxLength: 64 }, { type: 'number' }],
  example: 'r1',
  nullable: true,
} as unknown as ApiPropertyOptions;

/** How far a room is. */
export class RoomPositionFrameDto {
  /** The room. */
  @Id()
  room_id: string;

  /** Its latest number: live frames follow it on this connection. */
  @Int(0, ANY_SEQ)
  seq: number;
}

/** `data` of `connection_status`, the first frame of every connection. */
export class ConnectionStatusFrameDto {
  /** Always "connected". */
  @OneOf(['connected'])
  status: string;

  /** Whose connection it is; null: a client key's. */
  @Nullable()
  @Id()
  user_id: string | null;

  /** The rooms this connection hears from now on: all of the user's, none for a client key. */
  @ApiProperty({ type: () => [RoomPositionFrameDto] })
  @IsObject({ each: true })
  rooms: RoomPositionFrameDto[];

  /** Who of those who share a room with the user is online, the user included. At most 1,000 memberships are looked at. */
  @Ids(0, 1_000)
  online_users: string[];
}

/** `data` of `message_deleted`. */
export class MessageDeletedFrameDto {
  /** The message. */
  @Id()
  id: string;

  /** Who deleted it; null: the client itself. */
  @Nullable()
  @Id()
  deleted_by: string | null;

  /** When. */
  @Instant()
  deleted_at: string;
}

/** `data` of `user_joined`. */
export class UserJoinedFrameDto {
  /** Who joined. */
  @Id()
  user_id: string;

  /** The user's name. */
  @Text(0, 255, { example: 'John Doe' })
  user_name: string;

  /** When. */
  @Instant()
  joined_at: string;
}

/** `data` of `user_left`. For the one who left it is the last frame of the room. */
export class UserLeftFrameDto {
  /** Who left. */
  @Id()
  user_id: string;

  /** The user's name. */
  @Text(0, 255, { example: 'John Doe' })
  user_name: string;

  /** When. */
  @Instant()
  left_at: string;

  /** Why: by the user, by someone who may remove members, or because the user was deleted. */
  @OneOf(LEAVE_REASONS)
  reason: string;
}

/** `data` of `typing`; never told to the one who types. */
export class TypingFrameDto {
  /** Who types. */
  @Id()
  user_id: string;

  /** The user's name. */
  @Text(0, 255, { example: 'John Doe' })
  user_name: string;

  /** False: has stopped, or said nothing for five seconds. */
  @Flag()
  is_typing: boolean;
}

/** `data` of `presence`; told to those who share a room with the user. */
export class PresenceFrameDto {
  /** Whose presence changed. */
  @Id()
  user_id: string;

  /** online: the first socket is open; offline: the last one closed more than five seconds ago. */
  @OneOf(['online', 'offline'])
  status: string;

  /** When the user was last there. */
  @Instant()
  last_seen_at: string;
}

/** `data` of `read`. */
export class ReadFrameDto {
  /** Whose cursor moved. */
  @Id()
  user_id: string;

  /** Everything up to this number of the room is read. */
  @Int(0, ANY_SEQ)
  seq: number;
}

/** `data` of `notification`. */
export class NotificationFrameDto {
  /** The notification. */
  @Id()
  id: string;

  /** Headline. */
  @Nullable()
  @Text(1, 255, { example: 'Your order has shipped' })
  title: string | null;

  /** The text. */
  @Text(1, 100_000, { example: 'It arrives on Friday.' })
  content: string;

  /** Where a click leads. */
  @Nullable()
  @Text(1, 2048, { example: 'https://example.com/orders/1' })
  action_url: string | null;

  /** How urgent it is. */
  @OneOf(['low', 'normal', 'high', 'urgent'], { example: 'normal' })
  priority: string;

  /** A picture's name or address. */
  @Nullable()
  @Text(1, 2048, { example: 'parcel' })
  icon: string | null;

  /** Free data. */
  @Meta()
  meta: object;
}

/** `data` of `resync`: this connection is no longer kept gap-free in the room and hears nothing of it until it subscribes again. */
export class ResyncFrameDto {
  /** The room. */
  @Id()
  room_id: string;

  /** The connection has everything up to here: subscribe with it as `after_seq`, or with the number you hold. */
  @Int(0, ANY_SEQ)
  seq: number;
}

/** A wrong field of a command. */
export class FaultFieldDto {
  /** Path of the field in the command's data. */
  @Text(1, 255, { example: 'content' })
  field: string;

  /** What is wrong with it. */
  @Text(1, 1_000, { example: 'content must have 1 to 10000 characters' })
  message: string;
}

/** `data` of `error`, and what a refused command is answered with. */
export class FaultFrameDto {
  /** What is wrong, for programs: the codes of REST. */
  @Text(1, 64, { example: 'VALIDATION_ERROR' })
  error_code: string;

  /** What is wrong, for people. */
  @Text(1, 1_000, { example: 'Validation error in request data' })
  detail: string;

  /** The `ref` of the command that is refused; null: of none. Always null over Socket.IO, where the callback says whose it is. */
  @ApiProperty(REF)
  ref: string | number | null;

  /** Each wrong field. */
  @Optional()
  @ApiProperty({ type: () => [FaultFieldDto] })
  @IsObject({ each: true })
  errors?: FaultFieldDto[];

  /** Seconds to wait before trying again. */
  @Optional()
  @Int(0, ANY_SEQ, { example: 60 })
  retry_after?: number;

  /** Set when the server ends the connection with this frame: the close code. */
  @Optional()
  @Int(1000, 4999, { example: 4001 })
  close_code?: number;
}

/** `data` of `pong`. */
export class PongFrameDto {
  /** The `ref` of the `ping`; null: it had none. */
  @ApiProperty(REF)
  ref: string | number | null;
}
