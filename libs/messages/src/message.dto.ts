import { Flag, Id, Instant, Int, ListQueryDto, Meta, Nullable, OneOf, Optional, Text } from '#libs/common';
import {
  CHANGE_FRAMES,
  MessageDeletedFrameDto,
  UserJoinedFrameDto,
  UserLeftFrameDto,
  type ChangeFrameType,
} from '#libs/contracts';
import { ApiExtraModels, ApiProperty, getSchemaPath } from '@nestjs/swagger';
import { IsObject } from 'class-validator';

/** Kinds of message; "system" is for client keys only. */
export const MESSAGE_TYPES = ['text', 'image', 'file', 'system', 'custom'] as const;
/** One of {@link MESSAGE_TYPES}. */
export type MessageType = (typeof MESSAGE_TYPES)[number];

/** A message. */
export class MessageDto {
  /** Identifier, time-ordered. */
  @Id()
  id: string;

  /** The room. */
  @Id()
  room_id: string;

  /** Its place in the room: every change of the conversation takes the next number. */
  @Int(1, Number.MAX_SAFE_INTEGER)
  seq: number;

  /** Who sent it; null: the client itself. */
  @Nullable()
  @Id()
  sender_id: string | null;

  /** Name of the sender now. */
  @Text(0, 255, { example: 'John Doe' })
  sender_name: string;

  /** The text; empty once deleted. */
  @Text(0, 10_000, { example: 'Hello, everyone!' })
  content: string;

  /** Kind of message. */
  @OneOf(MESSAGE_TYPES)
  message_type: MessageType;

  /** Free data; empty once deleted. */
  @Meta()
  meta: object;

  /** The message of the same room this one answers. */
  @Nullable()
  @Id()
  reply_to: string | null;

  /** The sender's own id of the message. */
  @Nullable()
  @Text(1, 255, { example: 'c-1' })
  client_message_id: string | null;

  /** Whether it was edited. */
  @Flag({ example: false })
  is_edited: boolean;

  /** When it was last edited. */
  @Nullable()
  @Instant()
  edited_at: string | null;

  /** Why it was last edited. */
  @Nullable()
  @Text(0, 500, { example: 'typo' })
  edit_reason: string | null;

  /** Whether it was deleted. */
  @Flag({ example: false })
  is_deleted: boolean;

  /** When it was deleted. */
  @Nullable()
  @Instant()
  deleted_at: string | null;

  /** When it was sent. */
  @Instant()
  created_at: string;

  /** When it last changed. */
  @Instant()
  updated_at: string;
}

/** What sends a message. */
export class MessageCreateDto {
  /** The room. */
  @Id()
  room_id: string;

  /** The text, 1–10,000 characters. */
  @Text(1, 10_000, { example: 'Hello, everyone!' })
  content: string;

  /** Kind of message. */
  @Optional()
  @OneOf(MESSAGE_TYPES)
  message_type?: MessageType = 'text';

  /** Free data, a JSON object of at most 16 KiB. */
  @Optional()
  @Meta()
  meta?: object;

  /** The message of the same room this one answers. */
  @Optional()
  @Nullable()
  @Id()
  reply_to?: string | null;

  /** Your own id, 1–255 characters: a resend with it answers the first message (200) instead of sending a second. */
  @Optional()
  @Nullable()
  @Text(1, 255, { example: 'c-1' })
  client_message_id?: string | null;

  /** With a client key: the user to send as; left out: the client itself. */
  @Optional()
  @Nullable()
  @Id()
  sender_id?: string | null;
}

/** Changes to a message; what is left out stays. */
export class MessageUpdateDto {
  /** The text, 1–10,000 characters. */
  @Optional()
  @Text(1, 10_000, { example: 'Hello, all!' })
  content?: string;

  /** Free data; replaces what was there. */
  @Optional()
  @Meta()
  meta?: object;

  /** Why, at most 500 characters. */
  @Optional()
  @Nullable()
  @Text(0, 500, { example: 'typo' })
  edit_reason?: string | null;
}

/** How messages are listed. */
export class MessageListQueryDto extends ListQueryDto {
  /** Only this room; left out: every room the key can see. */
  @Optional()
  @Id()
  room_id?: string;

  /** Only this kind. */
  @Optional()
  @OneOf(MESSAGE_TYPES)
  message_type?: MessageType;

  /** Only from this user. */
  @Optional()
  @Id()
  sender_id?: string;

  /** Only answers to this message. */
  @Optional()
  @Id()
  reply_to?: string;

  /** Words in the text; all of them must occur. */
  @Optional()
  @Text(1, 255, { example: 'hello' })
  search?: string;

  /** With room_id: only seqs above this. */
  @Optional()
  @Int(0, Number.MAX_SAFE_INTEGER)
  after_seq?: number;

  /** With room_id: only seqs below this. */
  @Optional()
  @Int(0, Number.MAX_SAFE_INTEGER, { example: 1000 })
  before_seq?: number;

  /** With a client key: deleted messages too. */
  @Optional()
  @Flag({ example: false })
  include_deleted?: boolean;

  /** Sort column. */
  @Optional()
  @OneOf(['created_at', 'updated_at', 'seq'])
  override sort?: string = 'created_at';
}

/** From where changes are read. */
export class RoomChangesQueryDto {
  /** Changes after this seq. */
  @Optional()
  @Int(0, Number.MAX_SAFE_INTEGER)
  after_seq?: number = 0;

  /** Most changes in the answer, 1–1,000. */
  @Optional()
  @Int(1, 1000, { example: 100 })
  limit?: number = 100;
}

/** One change of a conversation, as the real-time channel tells it. */
@ApiExtraModels(MessageDto, MessageDeletedFrameDto, UserJoinedFrameDto, UserLeftFrameDto)
export class ChangeFrameDto {
  /** What changed. */
  @OneOf(CHANGE_FRAMES)
  type: ChangeFrameType;

  /** The room. */
  @Id()
  room_id: string;

  /** Number of the change. */
  @Int(1, Number.MAX_SAFE_INTEGER)
  seq: number;

  /** By type: the message as it is now, what was deleted, who joined, who left. */
  @ApiProperty({
    oneOf: [MessageDto, MessageDeletedFrameDto, UserJoinedFrameDto, UserLeftFrameDto].map((data) => ({
      $ref: getSchemaPath(data),
    })),
  })
  @IsObject()
  data: object;

  /** When it changed. */
  @Instant()
  timestamp: string;
}

/** Changes in order. Later states replace the earlier ones of the same message or member. */
export class RoomChangesDto {
  /** The room. */
  @Id()
  room_id: string;

  /** The seq up to which this answer is complete: ask again after it. */
  @Int(0, Number.MAX_SAFE_INTEGER)
  seq: number;

  /** Whether more follow. */
  @Flag({ example: false })
  has_more: boolean;

  /** The changes. */
  @ApiProperty({ type: () => [ChangeFrameDto] })
  @IsObject({ each: true })
  frames: ChangeFrameDto[];
}
