import type { MigrationInterface, QueryRunner } from 'typeorm';
import { time } from './1764000100000-store-messages.js';
import { STORE_MESSAGE, STORE_MESSAGES } from './1764000800000-lean-sends.js';
import { replacing } from './replacing.js';

/** The columns of a message's fact, as `log_sends` reads them back; a message just stored has not been changed yet. */
const fact = (
  at: string,
  from: (column: string) => string,
): string => `SELECT ${from('id')} AS id, ${from('room')} AS room_id,
      ${from('seq')} AS seq, ${from('sender')} AS sender_id, ${from('sender_name')} AS sender_name, ${from('content')} AS content,
      ${from('type')} AS message_type, ${from('meta')}::jsonb AS meta, ${from('reply')} AS reply_to,
      ${from('client_message_id')} AS client_message_id, false AS is_edited, NULL::text AS edited_at, NULL::text AS edit_reason,
      false AS is_deleted, NULL::text AS deleted_at, ${at} AS created_at, ${at} AS updated_at`;

const ENDS_ONE = `
    PERFORM log_sends(ARRAY[p_client], ARRAY[p_id], CASE WHEN room_active THEN '{}' ELSE ARRAY[p_room] END);`;
const PARAMETER: Record<string, string> = {
  seq: 'store_message.seq',
  sender_name: "coalesce(store_message.sender_name, 'Deleted user')",
};
const LOGS_ONE = `
    IF room_active THEN
      INSERT INTO events (client_id, id, event, room_id, data, created_at)
      SELECT p_client, p_id, 'message.created', p_room,
        (SELECT row_to_json(rendered) FROM (
      ${fact(time('store_message.created_at'), (column) => PARAMETER[column] ?? `p_${column}`)}) AS rendered),
        clock_timestamp()
      WHERE EXISTS (SELECT 1 FROM webhook_endpoints w
        WHERE w.client_id = p_client AND w.is_active AND w.events && ARRAY['message.created', 'message.*', '*']);
    ELSE
      PERFORM log_sends(ARRAY[p_client], ARRAY[p_id], ARRAY[p_room]);
    END IF;`;

const SENDER_NAME =
  "CASE WHEN n.sender_id IS NULL THEN (SELECT k.name FROM clients k WHERE k.id = n.client_id) ELSE coalesce(n.sender_name, 'Deleted user') END::text";
const NUMBERED: Record<string, string> = {
  room: 'n.room_id',
  sender: 'n.sender_id',
  sender_name: SENDER_NAME,
  reply: 'n.reply_to',
  client_message_id: 'n.cmid',
};
const LOGGED = `, logged AS (
    INSERT INTO events (client_id, id, event, room_id, data, created_at)
    SELECT n.client_id, n.id, 'message.created', n.room_id,
      (SELECT row_to_json(rendered) FROM (
    ${fact(time('n.at'), (column) => NUMBERED[column] ?? `n.${column}`)}) AS rendered),
      clock_timestamp()
    FROM numbered n
    WHERE n.seq IS NOT NULL AND EXISTS (SELECT 1 FROM webhook_endpoints w
      WHERE w.client_id = n.client_id AND w.is_active AND w.events && ARRAY['message.created', 'message.*', '*'])
    ORDER BY n.ord
  )
  SELECT n.outcome, `;

/** The statement of store_messages. */
const PLAIN = /  RETURN QUERY\n  WITH judged AS [^;]*;\n/.exec(STORE_MESSAGES)![0];

// The fact of a send is written from what the send has at hand, by a plan that is kept: reading the messages back by a
// statement planned each time took half a millisecond per call. Two statements for many sends, so that those nobody
// subscribes to do not make ready what they have no use for. Where a send wakes a room, the room's fact comes first and
// tells of the room after the send: log_sends still reads those back.
const UP =
  replacing(STORE_MESSAGE, ENDS_ONE, LOGS_ONE) +
  replacing(
    STORE_MESSAGES,
    PLAIN,
    `  IF told IS NOT NULL AND quiet IS NULL THEN
${replacing(PLAIN, '\n  SELECT n.outcome, ', LOGGED)}    RETURN;
  END IF;
${PLAIN}`,
  );

/** Facts of sends are written with the sends. */
export class FactsWithSends1764001000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(UP);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(STORE_MESSAGE + STORE_MESSAGES);
  }
}
