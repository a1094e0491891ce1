import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { newId } from '#libs/common';
import { Database } from '#libs/database';
import { anOwnDatabase, type OwnDatabase } from '../../../test/support/own-database.js';
import { rowsRead } from '../../../test/support/rows-read.js';
import { MessageListQueryDto } from './message.dto.js';
import { MessagesRepository } from './messages.repository.js';
import { RoomPages } from './room-pages.js';

const LIVE = 60;
const DELETED = 5_000;

describe('Deleted messages', () => {
  let own: OwnDatabase;
  let database: Database;
  const [client, room, user] = [newId(), newId(), newId()];

  before(async () => {
    own = await anOwnDatabase();
    database = new Database(own.url, { max: 1 });
    for (const sql of [
      `INSERT INTO clients (id, name, created_at, updated_at) VALUES ('${client}', 'c', now(), now())`,
      `INSERT INTO users (client_id, id, username, meta, created_at, updated_at)
       VALUES ('${client}', '${user}', 'u', '{}', now(), now())`,
      `INSERT INTO rooms (client_id, id, name, room_type, visibility, max_members, meta, created_at, updated_at)
       VALUES ('${client}', '${room}', 'r', 'group', 'public', 10, '{}', now(), now())`,
      `INSERT INTO room_counters (client_id, room_id, seq, message_count, deleted_count, last_change_at)
       VALUES ('${client}', '${room}', ${LIVE + 4 * DELETED}, ${LIVE}, ${2 * DELETED}, now())`,
      `INSERT INTO room_members (client_id, room_id, user_id, role, joined_at, change_seq)
       VALUES ('${client}', '${room}', '${user}', 'owner', now(), 0)`,
      // Thousands, some messages that are there, and thousands again.
      `INSERT INTO messages (client_id, id, room_id, seq, change_seq, sender_id, content, message_type, meta, created_at, updated_at)
       SELECT '${client}', gen_random_uuid(), '${room}', n, n, '${user}', 'Hello', 'text', '{}', now(), now()
       FROM generate_series(1, ${LIVE + 2 * DELETED}) AS n`,
      `UPDATE messages SET deleted_at = now(), content = '', change_seq = ${LIVE + 2 * DELETED} + seq
       WHERE seq NOT BETWEEN ${DELETED + 1} AND ${DELETED + LIVE}`,
    ]) {
      await database.query(sql);
    }
  });
  after(async () => {
    await database.close();
    await own.drop();
  });

  /** What is answered, and how many messages were read for it. */
  const reading = <T>(read: (repository: MessagesRepository) => Promise<T>): Promise<{ answer: T; rows: number }> =>
    database.run(async (tx) => {
      const within = tx as unknown as Database;
      const pages = new RoomPages(within, { rows: (asked) => tx.preparedText(asked), close: () => Promise.resolve() });
      const before = await rowsRead(tx, 'messages');
      const answer = await read(new MessagesRepository(within, pages));
      return { answer, rows: (await rowsRead(tx, 'messages')) - before };
    });
  const asked = (fields: Partial<MessageListQueryDto>): MessageListQueryDto =>
    Object.assign(new MessageListQueryDto(), { page: 1, size: 20, sort: 'seq', order: 'desc', room_id: room }, fields);
  const seqsOf = ({ rows }: { rows: string[] }): number[] =>
    rows.map((row) => (JSON.parse(row) as { seq: number }).seq);
  const run = (from: number, step: 1 | -1): number[] => Array.from({ length: 20 }, (_, i) => from + i * step);
  const [first, last, all] = [DELETED + 1, DELETED + LIVE, LIVE + 2 * DELETED];

  for (const [what, fields, seqs] of [
    ['its latest page', {}, run(last, -1)],
    ['its first page', { order: 'asc' }, run(first, 1)],
    ['the messages of one sender', { sender_id: user }, run(last, -1)],
    ['those before a number', { before_seq: all }, run(last, -1)],
    ['what changed last', { sort: 'updated_at' }, run(last, -1)],
  ] as const) {
    it(`are not read for the others: a room is paged through beside thousands as beside none (${what})`, async () => {
      const query = asked(fields);
      const plain = await reading((one) => one.roomPage(client, user, room, query).then((found) => found!.page));
      const listed = await reading((one) => one.list(client, user, query));
      const isPlain = Object.keys(fields).every((name) => name === 'order');
      for (const { answer, rows } of isPlain ? [plain, listed] : [listed]) {
        assert.deepEqual(seqsOf(answer), seqs);
        assert.ok(rows < 500, `${rows} rows`);
      }
    });
  }

  it('are shown to who asks for them, in one order with the others, as far as the page goes', async () => {
    for (const [order, seqs] of [
      ['desc', run(all, -1)],
      ['asc', run(1, 1)],
    ] as const) {
      const { answer, rows } = await reading((one) =>
        one.list(client, undefined, asked({ include_deleted: true, order })),
      );
      assert.deepEqual(seqsOf(answer), seqs);
      assert.ok(rows < 500, `${rows} rows`);
    }
    const around = asked({ include_deleted: true, before_seq: last + 11 });
    assert.deepEqual(seqsOf((await reading((one) => one.list(client, undefined, around))).answer), run(last + 10, -1));
  });

  it('stand in the feed of changes, which reads no more than it answers', async () => {
    const { answer, rows } = await reading((one) => one.changes(client, room, 0, 20));
    assert.deepEqual(
      answer.map(({ type, seq }) => [type, seq]),
      run(first, 1).map((seq) => ['message', seq]),
    );
    assert.ok(rows < 500, `${rows} rows`);
    const { answer: later } = await reading((one) => one.changes(client, room, all, 20));
    assert.deepEqual(new Set(later.map(({ type }) => type)), new Set(['message_deleted']));
  });
});
