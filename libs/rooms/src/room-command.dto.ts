import { ApiProperty } from '@nestjs/swagger';
import { IsObject } from 'class-validator';
import { Flag, Id, Int, Optional } from '#libs/common';
import { RoomReadDto } from './room-member.dto.js';

/** Names a room. */
export class RoomCommandDto {
  /** The room. */
  @Id()
  room_id: string;
}

/** Subscribes to a room. */
export class SubscribeCommandDto extends RoomCommandDto {
  /** The last seq you have of the room: the answer holds every change after it. Left out: from now on, or from where a room heard already stands. */
  @Optional()
  @Int(0, Number.MAX_SAFE_INTEGER)
  after_seq?: number;
}

/** What a subscription is answered with. */
export class SubscribedDto {
  /** The room. */
  @Id()
  room_id: string;

  /** The answer is complete up to this number; live frames follow it. */
  @Int(0, Number.MAX_SAFE_INTEGER)
  seq: number;

  /** False: more than 1,000 changes were missed; page through `GET /rooms/{room_id}/changes` from your seq. */
  @Flag()
  recovered: boolean;

  /** The changes after `after_seq`, in order, each as its frame. Superseded states may be merged into the latest. */
  @ApiProperty({ type: 'array', items: { $ref: '#/components/schemas/ChangeFrame' } })
  @IsObject({ each: true })
  frames: object[];
}

/** Moves the caller's read cursor: the room, and `seq` or `message_id`. */
export class MarkReadCommandDto extends RoomReadDto {
  /** The room. */
  @Id()
  room_id: string;
}

/** Says that the caller types, or has stopped. */
export class TypingCommandDto extends RoomCommandDto {
  /** False: has stopped; true ends by itself after five seconds, say it again while it goes on. */
  @Flag()
  is_typing: boolean;
}
