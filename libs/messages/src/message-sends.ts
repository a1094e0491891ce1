import { newId } from '#libs/common';
import type { MessageDto, MessageType } from './message.dto.js';

/** A send, settled by the service and waiting for its commit. */
export interface MessageSend {
  clientId: string;
  roomId: string;
  senderId: string | null;
  /** True for a user key: the sender must be a member. */
  asMember: boolean;
  content: string;
  type: MessageType;
  meta: object;
  replyTo: string | null;
  clientMessageId: string | null;
}

/** What became of a send in the database. */
export type SendVerdict = 'created' | 'existing' | 'no_room' | 'no_sender' | 'not_member' | 'inactive' | 'no_reply';

/** The outcome of one send: the message when it was created now, its id when it was there before. */
export interface SendOutcome {
  verdict: SendVerdict;
  messageId: string | null;
  message: MessageDto | undefined;
}

interface SendRow {
  ord: number;
  outcome: SendVerdict;
  message_id: string | null;
  seq: number | null;
  created_at: Date | null;
  sender_name: string | null;
}

/** One call for any number of sends; its migration states the invariants. */
export const SEND_SQL =
  'SELECT ord, outcome, message_id, seq, created_at, sender_name FROM send_messages($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)';

/** Parameters of {@link SEND_SQL}; ids are made here, in the order of the sends. */
export function sendParams(sends: MessageSend[]): unknown[] {
  const now = Date.now();
  return [
    new Date(now),
    sends.map((s) => s.clientId),
    sends.map((s) => s.roomId),
    sends.map(() => newId(now)),
    sends.map((s) => s.senderId),
    sends.map((s) => s.asMember),
    sends.map((s) => s.content),
    sends.map((s) => s.type),
    sends.map((s) => JSON.stringify(s.meta)),
    sends.map((s) => s.replyTo),
    sends.map((s) => s.clientMessageId),
  ];
}

/** Rows of {@link SEND_SQL} → outcomes, in the order of the sends. */
export function sendOutcomes(sends: MessageSend[], rows: SendRow[]): SendOutcome[] {
  return rows.map((row, index) => {
    const send = sends[index]!;
    const message = row.outcome === 'created' ? createdMessage(send, row) : undefined;
    return { verdict: row.outcome, messageId: row.message_id, message };
  });
}

function createdMessage(send: MessageSend, row: SendRow): MessageDto {
  const createdAt = row.created_at!.toISOString();
  return {
    id: row.message_id!,
    room_id: send.roomId,
    seq: row.seq!,
    sender_id: send.senderId,
    sender_name: row.sender_name ?? 'Deleted user',
    content: send.content,
    message_type: send.type,
    meta: send.meta,
    reply_to: send.replyTo,
    client_message_id: send.clientMessageId,
    is_edited: false,
    edited_at: null,
    edit_reason: null,
    is_deleted: false,
    deleted_at: null,
    created_at: createdAt,
    updated_at: createdAt,
  };
}
