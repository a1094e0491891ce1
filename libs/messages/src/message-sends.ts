import { newId } from '#libs/common';
import type { NamedStatement, TextRow } from '#libs/database';
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

/** What the two functions answer, as text; the time in seconds. */
type SendRow = [
  outcome: SendVerdict,
  messageId: string | null,
  seq: string | null,
  createdAt: string | null,
  senderName: string | null,
  logged: string | null,
];

const SELECT = `SELECT outcome, message_id, seq, date_part('epoch', created_at), sender_name, logged FROM`;
const PARAMETERS = '($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)';

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
export function sendStatement(sends: MessageSend[]): NamedStatement {
  if (sends.length > 1) return batchStatement(sends);
  const now = Date.now();
  return {
    name: 'store-one',
    text: `${SELECT} store_message${PARAMETERS}`,
    values: [new Date(now), ...valuesOf(sends[0]!, now)],
  };
}

/** The call for any number of sends, which plans the same in every session. */
export function batchStatement(sends: MessageSend[]): NamedStatement {
  const now = Date.now();
  const rows = sends.map((send) => valuesOf(send, now));
  const arrays = rows[0]!.map((_value, column) => {
    const values = rows.map((row) => row[column]);
    // The function looks up nothing for a null array.
    return values.some((value) => value !== null) ? values : null;
  });
  return { name: 'store-many', text: `${SELECT} store_messages${PARAMETERS}`, values: [new Date(now), ...arrays] };
}

/** Rows of {@link sendStatement} → outcomes, in the order of the sends. */
export function sendOutcomes(sends: MessageSend[], rows: TextRow[]): SendOutcome[] {
  return (rows as SendRow[]).map((row, index) => {
    const [verdict, messageId, , , , logged] = row;
    const message = verdict === 'created' ? createdMessage(sends[index]!, row) : undefined;
    return { verdict, messageId, message, logged: message !== undefined && logged === 't' };
  });
}

function createdMessage(send: MessageSend, [, id, seq, at, senderName]: SendRow): MessageDto {
  const createdAt = new Date(Math.round(Number(at) * 1000)).toISOString();
  return {
    id: id!,
    room_id: send.roomId,
    seq: Number(seq),
    sender_id: send.senderId,
    sender_name: senderName ?? 'Deleted user',
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
