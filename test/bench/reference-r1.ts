/**
 * Reference R1: what bare Fastify and pg can do. One single-row INSERT for each POST and one keyset SELECT for each
 * GET, as named statements; no key, no limit, no membership, no validation, and a seq out of a variable.
 */
import Fastify from 'fastify';
import pg from 'pg';
import { newId } from '#libs/common';
import { CLIENT_ID, endWithHarness, referenceSettings, SENDER_ID } from './references.js';

interface MessageRow {
  id: string;
  room_id: string;
  seq: number;
  sender_id: string;
  content: string;
  message_type: string;
  meta: object;
  created_at: Date;
  updated_at: Date;
}

interface Send {
  room_id: string;
  content: string;
  message_type: string;
}

interface PageQuery {
  room_id: string;
  size: string;
  before_seq?: string;
}

const INSERT = `INSERT INTO messages
  (client_id, id, room_id, seq, change_seq, sender_id, content, message_type, meta, created_at, updated_at)
  VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8, $9, $9)`;
const SELECT = `SELECT id, room_id, seq, sender_id, content, message_type, meta, created_at, updated_at FROM messages
  WHERE client_id = $1 AND room_id = $2 AND seq < $3 ORDER BY seq DESC LIMIT $4`;

/** The message as ours renders it, the columns this table has not got as null. */
function toJson(row: MessageRow): object {
  return {
    id: row.id,
    room_id: row.room_id,
    seq: row.seq,
    sender_id: row.sender_id,
    sender_name: 'benchmark',
    content: row.content,
    message_type: row.message_type,
    meta: row.meta,
    reply_to: null,
    client_message_id: null,
    is_edited: false,
    edited_at: null,
    edit_reason: null,
    is_deleted: false,
    deleted_at: null,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
}

function envelope(data: object, more: object = {}): object {
  return { data, ...more, status: 'success', timestamp: new Date().toISOString() };
}

pg.types.setTypeParser(pg.types.builtins.INT8, Number);
const settings = referenceSettings();
const pool = new pg.Pool({ connectionString: settings.databaseUrl, max: settings.poolSize });
const server = Fastify();
let lastSeq = 0;

server.post<{ Body: Send }>('/api/v1/messages', async ({ body }, reply) => {
  const now = new Date();
  const seq = ++lastSeq;
  const row: MessageRow = {
    id: newId(),
    ...body,
    seq,
    sender_id: SENDER_ID,
    meta: {},
    created_at: now,
    updated_at: now,
  };
  const values = [CLIENT_ID, row.id, row.room_id, seq, row.sender_id, row.content, row.message_type, '{}', now];
  await pool.query({ name: 'insert', text: INSERT, values });
  reply.code(201);
  return envelope(toJson(row));
});

server.get<{ Querystring: PageQuery }>('/api/v1/messages', async ({ query }) => {
  const size = Number(query.size);
  const values = [CLIENT_ID, query.room_id, query.before_seq ?? Number.MAX_SAFE_INTEGER, size + 1];
  const { rows } = await pool.query<MessageRow>({ name: 'page', text: SELECT, values });
  const page = rows.slice(0, size);
  const pagination = {
    page: null,
    size,
    total: null,
    pages: null,
    has_next: rows.length > size,
    has_prev: query.before_seq !== undefined,
    next_cursor: rows.length > size ? String(page.at(-1)!.seq) : null,
  };
  return envelope(page.map(toJson), { pagination });
});

endWithHarness();
await server.listen({ host: '127.0.0.1', port: settings.port });
process.send?.('listening');
