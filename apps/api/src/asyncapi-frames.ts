import type { Type } from '@nestjs/common';
import {
  ConnectionStatusFrameDto,
  FaultFrameDto,
  MessageDeletedFrameDto,
  NotificationFrameDto,
  PongFrameDto,
  PresenceFrameDto,
  ReadFrameDto,
  ResyncFrameDto,
  TypingFrameDto,
  UserJoinedFrameDto,
  UserLeftFrameDto,
  type FrameType,
} from '#libs/contracts';
import { MessageDto } from '#libs/messages';
import { CLOSE, type CloseCode } from '#libs/realtime';

/** What the document says of a frame. */
export interface FrameDescription {
  summary: string;
  data: Type;
  /** Whether it names a room: always, where it concerns one, never. */
  room: 'always' | 'sometimes' | 'never';
}

/** Every frame of the server. The compiler asks for a line here when a type is added to the contract. */
export const FRAMES: Record<FrameType, FrameDescription> = {
  connection_status: {
    summary: 'You are connected: who you are, and how far each of your rooms is.',
    data: ConnectionStatusFrameDto,
    room: 'never',
  },
  message: { summary: 'A message was sent.', data: MessageDto, room: 'always' },
  message_updated: {
    summary: 'A message was edited: the whole message as it is now.',
    data: MessageDto,
    room: 'always',
  },
  message_deleted: { summary: 'A message was deleted.', data: MessageDeletedFrameDto, room: 'always' },
  user_joined: { summary: 'A user became a member.', data: UserJoinedFrameDto, room: 'always' },
  user_left: { summary: 'A membership ended.', data: UserLeftFrameDto, room: 'always' },
  typing: { summary: 'Somebody types, or has stopped.', data: TypingFrameDto, room: 'always' },
  presence: { summary: 'Somebody came online or went offline.', data: PresenceFrameDto, room: 'never' },
  read: { summary: "A member's read cursor moved.", data: ReadFrameDto, room: 'always' },
  notification: { summary: 'A notification for you or for the room.', data: NotificationFrameDto, room: 'sometimes' },
  resync: {
    summary: 'You hear nothing of the room any more: subscribe again with after_seq.',
    data: ResyncFrameDto,
    room: 'always',
  },
  error: {
    summary: 'A command was refused, a room is gone, or the connection ends (close_code).',
    data: FaultFrameDto,
    room: 'sometimes',
  },
  pong: { summary: 'Somebody is there.', data: PongFrameDto, room: 'never' },
};

/** What each close code means and what a client does about it. */
export const CLOSE_MEANINGS: Record<CloseCode, string> = {
  [CLOSE.goingAway]:
    'The server is going away, or cannot reach its database. Reconnect, with a growing wait, and resume.',
  [CLOSE.invalidKey]:
    'The key or ticket is missing, not valid, used, expired or revoked. Get a new one; do not just retry.',
  [CLOSE.noSuchRoom]:
    'There is no such room. Reserved: no connection is to one room alone, and a command is refused by an `error`.',
  [CLOSE.accessDenied]: 'This key may not do that. Do not retry.',
  [CLOSE.limitExceeded]:
    'Too many connections, too many failed attempts, or a flood of commands. Wait before you reconnect.',
  [CLOSE.tooSlow]: 'You read too slowly: more than 1 MiB waited for you. Reconnect and resume.',
};
