import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Database } from '#libs/database';
import { EventRelayRepository } from '../../../libs/webhooks/src/event-relay.repository.js';
import { batchStatement, type MessageSend } from '../../../libs/messages/src/message-sends.js';
import { aRoom, aTenant, aUser, startApi, type TestApi } from '../../support/api.js';
import { anOwnDatabase, type OwnDatabase } from '../../support/own-database.js';
import { rowsRead } from '../../support/rows-read.js';
import { aWebhook, someFacts } from '../../support/webhooks.js';

type Read = (sql: string, params: unknown[]) => Promise<number>;

const aSend = (clientId: string, roomId: string, senderId: string): MessageSend => ({
  ...{ clientId, roomId, senderId, asMember: true, content: 'Hello', type: 'text', meta: {} },
  ...{ replyTo: null, clientMessageId: null },
});

describe('What relaying and logging facts costs', () => {
  let own: OwnDatabase;
  let api: TestApi;
  let kept: Database;
  before(async () => {
    own = await anOwnDatabase();
    api = await startApi({}, own.url);
    kept = new Database(own.url, { max: 1 });
  });
  after(async () => {
    await kept.close();
    await api.stop();
    await own.drop();
  });

  /** Rows that a statement reads. */
  const readOn = (database: Database, sql: string, params: unknown[]): Promise<number> =>
    database.run(async (tx) => {
      const before = await rowsRead(tx);
      await tx.query(sql, params);
      return (await rowsRead(tx)) - before;
    });

  /** The same on a session that plans anew. */
  const readAnew = async (sql: string, params: unknown[]): Promise<number> => {
    const database = new Database(own.url, { max: 1 });
    try {
      return await readOn(database, sql, params);
    } finally {
      await database.close();
    }
  };

  /** Two sessions: one whose plans are of now, and one whose plans are as old as it is. */
  const sessions: Read[] = [readAnew, (sql: string, params: unknown[]) => readOn(kept, sql, params)];

  it('reads no more rows for a pass with thousands waiting than with a few', async () => {
    while ((await new EventRelayRepository(api.database).relay()).taken > 0);
    const one = await aTenant(api);
    await aWebhook(one, { events: ['user.created'] });
    for (const [index, read] of sessions.entries()) {
      // What the planner may have seen last.
      if (index > 0) await api.database.query('ANALYZE events, deliveries, webhook_endpoints');
      const pass = () =>
        read(`SELECT relay_events('webhook.event', 50, $1, 100, 100, 10, 25000, '{}', '{}', '{}', '{}', '{}', '{}')`, [
          '00000000-0000-0000-0000-000000000000',
        ]);
      await someFacts(api.database, one.id, 50);
      const few = await pass();
      for (const waiting of [3_000, 30_000]) {
        await someFacts(api.database, one.id, waiting);
        const many = await pass();
        assert.ok(many < few * 2, `${many} rows for ${waiting}, ${few} for 50`);
      }
      await api.database.query('DELETE FROM events WHERE client_id = $1', [one.id]);
    }
  });

  it('costs a send to a subscribed tenant no more rows with thousands of messages than with a few', async () => {
    const one = await aTenant(api);
    await aWebhook(one, { events: ['message.created'] });
    const owner = await aUser(one);
    const room = await aRoom(one, owner);
    const fill = (amount: number) =>
      api.database.query(
        `INSERT INTO messages (client_id, id, room_id, seq, change_seq, sender_id, content, message_type, meta, created_at, updated_at)
         SELECT $1, gen_random_uuid(), $2, -n, -n, $3, 'Hello', 'text', '{}', now(), now()
         FROM generate_series((SELECT coalesce(max(-seq), 0) + 1 FROM messages WHERE room_id = $2 AND seq < 0), $4) AS n`,
        [one.id, room, owner.id, amount],
      );
    /** Twenty sends at once, whose facts are written with them. */
    const send = (read: Read): Promise<number> => {
      const { text, values } = batchStatement(Array.from({ length: 20 }, () => aSend(one.id, room, owner.id)));
      return read(text, values);
    };
    /** What a send that wakes a room does besides: the facts of twenty are made of what is stored. */
    const log = async (read: Read): Promise<number> => {
      const stored = 'SELECT id FROM messages WHERE client_id = $1 ORDER BY id LIMIT 20';
      const ids = (await api.database.query<{ id: string }>(stored, [one.id])).map(({ id }) => id);
      await api.database.query('DELETE FROM events WHERE client_id = $1', [one.id]);
      return read(`SELECT log_sends(ARRAY[$1]::uuid[], $2, '{}')`, [one.id, ids]);
    };
    await fill(20);
    for (const cost of [send, log]) {
      let few = 0;
      // Often enough for PostgreSQL to plan once for all.
      for (let i = 0; i < 8; i++) few = await cost(sessions[1]!);
      for (const amount of [3_000, 30_000]) {
        await fill(amount);
        for (const read of sessions) {
          const many = await cost(read);
          assert.ok(many < few * 2, `${many} rows for ${amount}, ${few} for 20`);
        }
      }
      await api.database.query('DELETE FROM messages WHERE client_id = $1', [one.id]);
      await fill(20);
    }
    const [logged] = await api.database.query<{ n: number }>('SELECT count(*) AS n FROM events WHERE client_id = $1', [
      one.id,
    ]);
    assert.equal(logged!.n, 20, 'the last twenty');
    await api.database.query('DELETE FROM events WHERE client_id = $1', [one.id]);
  });
});
