import { Injectable } from '@nestjs/common';
import { Answer, forbidden, invalid, notFound, type JsonPage } from '#libs/common';
import type { ChangeFrameType, Frame } from '#libs/contracts';
import type { Tx } from '#libs/database';
import { EventLog } from '#libs/events';
import { Hub } from '#libs/realtime';
import { roomInactive, RoomsService } from '#libs/rooms';
import { UnitOfWork, type Principal } from '#libs/security';
import type {
  MessageCreateDto,
  MessageDto,
  MessageListQueryDto,
  MessageUpdateDto,
  RoomChangesDto,
  RoomChangesQueryDto,
} from './message.dto.js';
import type { MessageSend, SendOutcome } from './message-sends.js';
import { messageChange, MessageWriter } from './message-writer.js';
import { MessagesRepository } from './messages.repository.js';

/** Messages: sending, reading, editing, deleting, and what changed. */
@Injectable()
export class MessagesService {
  constructor(
    private readonly repository: MessagesRepository,
    private readonly writer: MessageWriter,
    private readonly rooms: RoomsService,
    private readonly uow: UnitOfWork,
    private readonly events: EventLog,
    private readonly hub: Hub,
  ) {}

  /** Sends through the group commit; a send with an Idempotency-Key commits with its record, on its own. */
  async send(caller: Principal, input: MessageCreateDto): Promise<Answer<MessageDto>> {
    const send = settle(caller, input);
    if (caller.idempotency) {
      return this.uow.run(caller, async (tx) => {
        const outcome = await this.repository.send(tx, send);
        tx.afterCommit(() => {
          this.hub.changed(...messageChange(send.clientId, outcome));
          if (outcome.logged) this.events.committed();
        });
        return this.answer(tx, send, outcome);
      });
    }
    const outcome = await this.writer.send(send);
    return this.answer(undefined, send, outcome);
  }

  /** A page of messages the principal can see. */
  async list(caller: Principal, query: MessageListQueryDto): Promise<JsonPage> {
    if (query.include_deleted && caller.kind === 'user') throw forbidden('include_deleted needs a client key');
    for (const field of ['after_seq', 'before_seq'] as const) {
      if (query[field] !== undefined && query.room_id === undefined) {
        throw invalid({ field, message: `${field} needs room_id` });
      }
    }
    if (query.room_id === undefined) return this.repository.list(caller.clientId, caller.userId, query);
    if (isPlainRoomPage(query)) return this.roomPage(caller, query.room_id.toLowerCase(), query);
    await this.rooms.requireAccess(caller, query.room_id);
    return this.repository.list(caller.clientId, caller.userId, query);
  }

  /** One message. */
  async get(caller: Principal, messageId: string): Promise<MessageDto> {
    const message = await this.repository.find(undefined, caller.clientId, messageId);
    if (!message || message.is_deleted) throw notFound('Message');
    await this.rooms.requireAccess(caller, message.room_id);
    return message;
  }

  /** Edits a message; a user its own only. An edit that changes nothing is none: nobody is told, nothing is marked. */
  update(caller: Principal, messageId: string, input: MessageUpdateDto): Promise<MessageDto> {
    return this.uow.run(caller, async (tx) => {
      const state = await this.repository.lock(tx, caller.clientId, messageId, input);
      if (!state || state.deleted_at) throw notFound('Message');
      await this.rooms.requireAccess(caller, state.room_id, undefined, tx);
      if (caller.kind === 'user' && state.sender_id !== caller.userId)
        throw forbidden('Only the sender edits a message');
      if (!state.differs) return (await this.repository.find(tx, caller.clientId, messageId))!;
      const { seq, at } = await this.repository.takeSeq(tx, caller.clientId, state.room_id, 0);
      await this.repository.update(tx, caller.clientId, messageId, input, seq, at);
      const message = (await this.repository.find(tx, caller.clientId, messageId))!;
      await this.events.add(tx, {
        clientId: caller.clientId,
        event: 'message.updated',
        roomId: state.room_id,
        data: message,
      });
      this.announce(tx, caller.clientId, 'message_updated', state.room_id, seq, message, at);
      return message;
    });
  }

  /** Deletes a message: the sender, an owner or admin of the room, or a client key. */
  async remove(caller: Principal, messageId: string): Promise<void> {
    await this.uow.run(caller, async (tx) => {
      const state = await this.repository.lock(tx, caller.clientId, messageId);
      if (!state || state.deleted_at) throw notFound('Message');
      const own = caller.kind === 'user' && state.sender_id === caller.userId;
      await this.rooms.requireAccess(caller, state.room_id, own ? undefined : ['owner', 'admin'], tx);
      const { seq, at } = await this.repository.takeSeq(tx, caller.clientId, state.room_id, 1);
      const by = caller.userId ?? null;
      await this.repository.erase(tx, caller.clientId, messageId, by, seq, at);
      const data = { id: messageId, deleted_by: by, deleted_at: at.toISOString() };
      await this.events.add(tx, {
        clientId: caller.clientId,
        event: 'message.deleted',
        roomId: state.room_id,
        data: { room_id: state.room_id, ...data },
      });
      this.announce(tx, caller.clientId, 'message_deleted', state.room_id, seq, data, at);
      return {};
    });
  }

  /** What changed in a room after a seq. */
  async changes(caller: Principal, roomId: string, query: RoomChangesQueryDto): Promise<RoomChangesDto> {
    await this.rooms.requireAccess(caller, roomId);
    const limit = query.limit!;
    const frames = await this.repository.changes(caller.clientId, roomId, query.after_seq!, limit + 1);
    const shown = frames.slice(0, limit);
    return {
      room_id: roomId,
      seq: shown.at(-1)?.seq ?? (await this.repository.seqUpTo(caller.clientId, roomId, query.after_seq!)),
      has_more: frames.length > limit,
      frames: shown,
    };
  }

  /** Hands the change to the hub once it is committed. */
  private announce(
    tx: Tx,
    clientId: string,
    type: ChangeFrameType,
    roomId: string,
    seq: number,
    data: object,
    at: Date,
  ): void {
    const frame: Frame = { type, room_id: roomId, seq, data, timestamp: at.toISOString() };
    tx.afterCommit(() => this.hub.changed({ clientId, roomId, seq, frame }));
  }

  private async roomPage(caller: Principal, roomId: string, query: MessageListQueryDto): Promise<JsonPage> {
    const found = await this.repository.roomPage(caller.clientId, caller.userId, roomId, query);
    if (!found) throw notFound('Room');
    if (!found.isAllowed) throw forbidden('You are not a member of this room');
    return found.page;
  }

  private async answer(tx: Tx | undefined, send: MessageSend, outcome: SendOutcome): Promise<Answer<MessageDto>> {
    switch (outcome.verdict) {
      case 'created':
        return new Answer(outcome.message!, 201);
      case 'existing':
        return new Answer((await this.repository.find(tx, send.clientId, outcome.messageId!))!, 200);
      case 'no_room':
        throw notFound('Room');
      case 'no_sender':
        if (await this.repository.hasUser(tx, send.clientId, send.senderId!)) throw forbidden('This user is inactive');
        throw notFound('User');
      case 'not_member':
        throw forbidden('You are not a member of this room');
      case 'inactive':
        throw roomInactive();
      case 'no_reply':
        throw notFound('Message');
    }
  }
}

/** Whether a query asks for a room's messages in order and nothing else: the hottest read. */
function isPlainRoomPage(query: MessageListQueryDto): boolean {
  if (query.sort === 'updated_at') return false;
  const narrowing = [
    query.message_type,
    query.sender_id,
    query.reply_to,
    query.search,
    query.after_seq,
    query.before_seq,
    query.start_date,
    query.end_date,
  ];
  return !query.include_deleted && narrowing.every((value) => value === undefined);
}

/** Who sends what, before the database is asked. */
function settle(caller: Principal, input: MessageCreateDto): MessageSend {
  const senderId = input.sender_id?.toLowerCase() ?? null;
  if (caller.kind === 'user') {
    if (senderId !== null && senderId !== caller.userId) throw forbidden('A user key sends as its own user');
    if (input.message_type === 'system') throw forbidden('System messages need a client key');
  }
  return {
    clientId: caller.clientId,
    roomId: input.room_id.toLowerCase(),
    senderId: caller.userId ?? senderId,
    asMember: caller.kind === 'user',
    content: input.content,
    type: input.message_type!,
    meta: input.meta ?? {},
    replyTo: input.reply_to?.toLowerCase() ?? null,
    clientMessageId: input.client_message_id ?? null,
  };
}
