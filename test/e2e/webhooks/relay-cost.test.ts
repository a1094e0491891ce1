import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Database } from '#libs/database';
import { EventRelayRepository } from '../../../libs/webhooks/src/event-relay.repository.js';
import { aRoom, aTenant, aUser, startApi, type TestApi } from '../../support/api.js';
import { anOwnDatabase, type OwnDatabase } from '../../support/own-database.js';
import { rowsRead } from '../../support/rows-read.js';
import { aWebhook, someFacts } from '../../support/webhooks.js';

describe('What relaying and logging facts costs', () => {
  let own: OwnDatabase;
  let api: TestApi;
  before(async () => {
    own = await anOwnDatabase();
    api = await startApi({}, own.url);
  });
  after(async () => {
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

  it('reads no more rows for a pass with thousands waiting than with a few', async () => {
    while ((await new EventRelayRepository(api.database).relay()).taken > 0);
    const one = await aTenant(api);
    await aWebhook(one, { events: ['user.created'] });
    const pass = () =>
      readAnew(
        `SELECT relay_events('webhook.event', 50, $1, 100, 100, 10, 25000, '{}', '{}', '{}', '{}', '{}', '{}')`,
        ['00000000-0000-0000-0000-000000000000'],
      );
    await someFacts(api.database, one.id, 50);
    const few = await pass();
    for (const waiting of [3_000, 30_000]) {
      await someFacts(api.database, one.id, waiting);
      const many = await pass();
      assert.ok(many < few * 2, `${many} rows for ${waiting}, ${few} for 50`);
    }
    await api.database.query('DELETE FROM events WHERE client_id = $1', [one.id]);
  });

  it('costs a send to a subscribed tenant no more rows with thousands of messages than with a few', async () => {
    const one = await aTenant(api);
    await aWebhook(one, { events: ['message.created'] });
    const owner = await aUser(one);
    const room = await aRoom(one, owner);
    // The session of a message writer: its plans are as old as it is.
    const kept = new Database(own.url, { max: 1 });
    const log = async (read: (sql: string, params: unknown[]) => Promise<number>): Promise<number> => {
      const stored = 'SELECT id FROM messages WHERE client_id = $1 ORDER BY id LIMIT 20';
      const ids = (await api.database.query<{ id: string }>(stored, [one.id])).map(({ id }) => id);
      await api.database.query('DELETE FROM events WHERE client_id = $1', [one.id]);
      return read(`SELECT log_sends(ARRAY[$1]::uuid[], $2, '{}')`, [one.id, ids]);
    };
    const onKept = (sql: string, params: unknown[]) => readOn(kept, sql, params);
    const fill = (amount: number) =>
      api.database.query(
        `INSERT INTO messages (client_id, id, room_id, seq, change_seq, sender_id, content, message_type, meta, created_at, updated_at)
         SELECT $1, gen_random_uuid(), $2, n, n, $3, 'Hello', 'text', '{}', now(), now()
         FROM generate_series((SELECT coalesce(max(seq), 0) + 1 FROM messages WHERE room_id = $2), $4) AS n`,
        [one.id, room, owner.id, amount],
      );
    await fill(20);
    let few = 0;
    // Often enough for PostgreSQL to plan once for all.
    for (let i = 0; i < 8; i++) few = await log(onKept);
    for (const amount of [3_000, 30_000]) {
      await fill(amount);
      for (const read of [readAnew, onKept]) {
        const many = await log(read);
        assert.ok(many < few * 2, `${many} rows for ${amount}, ${few} for 20`);
      }
    }
    await kept.close();
    await api.database.query('DELETE FROM events WHERE client_id = $1', [one.id]);
  });
});
