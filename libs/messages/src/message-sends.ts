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
  /** Whether facts for webhooks may have been committed with it. */
  logged: boolean;
}

interface SendRow {
  outcome: SendVerdict;
  message_id: string | null;
  seq: number | null;
  created_at: Date | null;
  sender_name: string | null;
  logged: boolean | null;
}

const COLUMNS = 'outcome, message_id, seq, created_at, sender_name, logged';
const PARAMETERS = '$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11';

/** A statement with its name and values. */
export interface SendStatement {
  name: string;
  text: string;
  values: unknown[];
}

function valuesOf(send: MessageSend, now: number): unknown[] {
  return [
    send.clientId,
    send.roomId,
    newId(now),
    send.senderId,
    send.asMember,
    send.content,
    send.type,
    JSON.stringify(send.meta),
    send.replyTo,
    send.clientMessageId,
  ];
}

/** The one call that stores the sends, a lone one by its own function; ids are made here, in the order of the sends. */
export function sendStatement(sends: MessageSend[]): SendStatement {
  const now = Date.now();
  const rows = sends.map((send) => valuesOf(send, now));
  if (rows.length === 1) {
    return {
      name: 'store-one',
      text: `SELECT ${COLUMNS} FROM store_message(${PARAMETERS})`,
      values: [new Date(now), ...rows[0]!],
    };
  }
  const arrays = rows[0]!.map((_value, column) => rows.map((row) => row[column]));
  return {
    name: 'store-many',
    text: `SELECT ${COLUMNS} FROM store_messages(${PARAMETERS})`,
    values: [new Date(now), ...arrays],
  };
}

/** Rows of {@link sendStatement} → outcomes, in the order of the sends. */
export function sendOutcomes(sends: MessageSend[], rows: SendRow[]): SendOutcome[] {
  return rows.map((row, index) => {
    const send = sends[index]!;
    const message = row.outcome === 'created' ? createdMessage(send, row) : undefined;
    return {
      verdict: row.outcome,
      messageId: row.message_id,
      message,
      logged: message !== undefined && row.logged === true,
    };
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
