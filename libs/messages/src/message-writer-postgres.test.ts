import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { ApiError } from '#libs/common';
import { Database, migrate } from '#libs/database';
import { EventLog } from '#libs/events';
import { Hub } from '#libs/realtime';
import { until } from '../../../test/support/concurrency.js';
import { MessageWriter, PostgresSendExecutor } from './message-writer.js';
import type { MessageSend, SendOutcome } from './message-sends.js';

// A database of its own, so that the connections it kills are nobody else's.
describe('MessageWriter on PostgreSQL', () => {
  const server = process.env['TEST_DATABASE_URL']!;
  const name = `writer_${randomUUID().replaceAll('-', '')}`;
  const client = randomUUID();
  const user = randomUUID();
  const rooms = Array.from({ length: 5 }, () => randomUUID());
  let admin: Database;
  let database: Database;
  let writer: MessageWriter;

  before(async () => {
    admin = new Database(server, { max: 1 });
    await admin.query(`CREATE DATABASE ${name} TEMPLATE template0`);
    const url = server.replace(/\/[^/?]+(\?|$)/, `/${name}$1`);
    await migrate(url);
    database = new Database(url);
    writer = new MessageWriter(new PostgresSendExecutor(database), new Hub(), new EventLog());
    await database.query(`INSERT INTO clients (id, name, created_at, updated_at) VALUES ($1, 'c', now(), now())`, [
      client,
    ]);
    await database.query(
      `INSERT INTO users (client_id, id, email, username, created_at, updated_at) VALUES ($1, $2, 'e', 'u', now(), now())`,
      [client, user],
    );
    for (const room of rooms) {
      await database.query(
        `INSERT INTO rooms (client_id, id, name, room_type, visibility, max_members, created_at, updated_at)
         VALUES ($1, $2, 'r', 'group', 'public', 100, now(), now())`,
        [client, room],
      );
      await database.query('INSERT INTO room_counters (client_id, room_id, last_change_at) VALUES ($1, $2, now())', [
        client,
        room,
      ]);
      await database.query(
        `INSERT INTO room_members (client_id, room_id, user_id, role, joined_at, change_seq) VALUES ($1, $2, $3, 'owner', now(), 0)`,
        [client, room, user],
      );
    }
  });

  after(async () => {
    await writer.onApplicationShutdown();
    await database.close();
    await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
    await admin.close();
  });

  function aSend(n: number): MessageSend {
    return {
      clientId: client,
      roomId: rooms[n % rooms.length]!,
      senderId: user,
      asMember: true,
      content: `message ${n}`,
      type: 'text',
      meta: {},
      replyTo: null,
      clientMessageId: `c-${n}`,
    };
  }

  it('answers every send while its connections are killed, and resends never double', async () => {
    const SENDS = 3_000;
    const LANES = 200;
    let unknown = 0;
    let kills = 0;
    let done = false;
    let stored = 0;
    const killing = (async () => {
      while (!done) {
        // Only in mid-statement, so that the outcome of a flush really is in question.
        const killed = await database.query<{ ok: boolean }>(
          `SELECT pg_terminate_backend(pid) AS ok FROM pg_stat_activity WHERE datname = current_database()
             AND pid <> pg_backend_pid() AND state = 'active' AND query LIKE '%store_messages%'`,
        );
        kills += killed.length;
        // Lets some flights through after each kill, or nothing would ever be stored.
        const enough = stored + (killed.length > 0 ? LANES / 2 : 0);
        while (!done && stored < enough) await turn();
      }
    })();
    const outcomes: SendOutcome[] = [];
    const deliver = async (n: number): Promise<void> => {
      for (;;) {
        try {
          outcomes[n] = await writer.send(aSend(n));
          stored++;
          return;
        } catch (error) {
          assert.ok(error instanceof ApiError, String(error));
          assert.equal(error.status, 503, error.message);
          unknown++;
        }
      }
    };
    let next = 0;
    const lane = async () => {
      while (next < SENDS) await deliver(next++);
    };
    await Promise.all(Array.from({ length: LANES }, lane)).finally(() => (done = true));
    await killing;
    assert.ok(kills > 0 && unknown > 0, `connections were killed in mid-flush (${kills}, ${unknown} unknown)`);
    assert.ok(outcomes.every(({ verdict }) => verdict === 'created' || verdict === 'existing'));
    const rows = await database.query<{
      room_id: string;
      n: number;
      seqs: number;
      last: number;
      counted: number;
      seq: number;
    }>(
      `SELECT x.room_id, count(*) AS n, count(DISTINCT x.seq) AS seqs, max(x.seq) AS last, min(c.message_count) AS counted,
         min(c.seq) AS seq FROM messages x JOIN room_counters c ON c.room_id = x.room_id GROUP BY x.room_id`,
    );
    const each = SENDS / rooms.length;
    assert.equal(rows.length, rooms.length);
    for (const { n, seqs, last, counted, seq } of rows) {
      assert.deepEqual([n, seqs, last, counted, seq], [each, each, each, each, each]);
    }
  });

  it('judges a send in a batch as it judges it alone', async () => {
    const executor = new PostgresSendExecutor(database);
    const inactive = randomUUID();
    const outsider = randomUUID();
    for (const [id, active] of [
      [inactive, false],
      [outsider, true],
    ]) {
      await database.query(
        `INSERT INTO users (client_id, id, username, is_active, created_at, updated_at) VALUES ($1, $2, $3, $4, now(), now())`,
        [client, id, `u ${String(id)}`, active],
      );
    }
    const plain = { ...aSend(0), clientMessageId: null };
    const [first] = await executor.execute([{ ...plain, clientMessageId: 'first' }]);
    const sends: MessageSend[] = [
      plain,
      { ...plain, clientMessageId: 'first' },
      { ...plain, replyTo: first!.messageId },
      { ...plain, replyTo: randomUUID() },
      { ...plain, roomId: rooms[1]!, replyTo: first!.messageId },
      { ...plain, roomId: randomUUID() },
      { ...plain, clientId: randomUUID() },
      { ...plain, senderId: inactive },
      { ...plain, senderId: outsider },
      { ...plain, senderId: outsider, asMember: false },
      { ...plain, senderId: null, asMember: false, meta: { a: ['"'] } },
    ];
    const shown = ({ verdict, messageId, message }: SendOutcome) => [
      verdict,
      verdict === 'existing' && messageId,
      message?.sender_name,
    ];
    const alone: unknown[] = [];
    for (const send of sends) alone.push(...(await executor.execute([send])).map(shown));
    const together = (await executor.execute(sends)).map(shown);
    assert.deepEqual(together, alone);
    assert.deepEqual(
      alone.map((outcome) => (outcome as unknown[])[0]),
      [
        'created',
        'existing',
        'created',
        'no_reply',
        'no_reply',
        'no_room',
        'no_room',
        'no_sender',
        'not_member',
        'created',
        'created',
      ],
    );
    assert.deepEqual(alone[1], ['existing', first!.messageId, undefined]);
    assert.deepEqual(alone.at(-1), ['created', false, 'c']);
    await executor.close();
  });

  it('lets a row PostgreSQL refuses fail alone', async () => {
    const bad = { ...aSend(1), meta: { text: 'a\0b' }, clientMessageId: null };
    const sends = [{ ...aSend(2), clientMessageId: null }, bad, { ...aSend(3), clientMessageId: null }];
    const results = await Promise.allSettled([
      writer.send({ ...aSend(4), clientMessageId: null }),
      ...sends.map((s) => writer.send(s)),
    ]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
    );
  });

  it('stores sends into a room that somebody holds for longer than a flight waits', async () => {
    const answered: string[] = [];
    const send = async (n: number) => {
      const { verdict } = await writer.send({ ...aSend(n), clientMessageId: null });
      answered.push(`${n} ${verdict}`);
    };
    const waiting: Promise<void>[] = [];
    const blocked: Set<number> = new Set();
    await database.run(async (tx) => {
      await tx.query('SELECT 1 FROM room_counters WHERE client_id = $1 AND room_id = $2 FOR UPDATE', [
        client,
        rooms[0],
      ]);
      const [own] = await tx.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      waiting.push(send(0), send(1));
      await until('another session waits than the first', async () => {
        const sql = 'SELECT pid FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))';
        for (const { pid } of await database.query<{ pid: number }>(sql, [own!.pid])) blocked.add(pid);
        return blocked.size === 2;
      });
      await until('the room beside it is not held up', () => answered.includes('1 created'));
    });
    await Promise.all(waiting);
    assert.deepEqual(answered, ['1 created', '0 created']);
  });

  it('says that nothing was sent when no connection is to be had', async () => {
    const nowhere = new Database('postgresql://u:p@127.0.0.1:1/none');
    const lost = new MessageWriter(new PostgresSendExecutor(nowhere), new Hub(), new EventLog());
    await assert.rejects(
      lost.send(aSend(1)),
      (error: ApiError) => error.status === 503 && /was not sent/.test(error.message),
    );
    await lost.onApplicationShutdown();
    await nowhere.close();
  });
});
