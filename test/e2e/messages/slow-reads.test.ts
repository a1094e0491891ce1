import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Database } from '#libs/database';
import { aMessage, aRoom, aTenant, aUser, startApi, type Reply, type TestApi } from '../../support/api.js';
import { tally, until } from '../../support/concurrency.js';
import { anOwnDatabase, type OwnDatabase } from '../../support/own-database.js';

describe('Slow reads of messages', () => {
  let own: OwnDatabase;
  let api: TestApi;
  let beside: Database;
  before(async () => {
    own = await anOwnDatabase();
    api = await startApi({}, own.url);
    beside = new Database(own.url, { max: 2 });
  });
  after(async () => {
    await api.stop();
    await beside.close();
    await own.drop();
  });

  it('of one tenant leave connections to everything else, and all are answered', async () => {
    const [tenant, other] = [await aTenant(api), await aTenant(api)];
    const user = await aUser(tenant);
    const room = await aRoom(tenant, user);
    await aMessage(tenant, user, room, 'hello');
    const get = (path: string, key: string) => api.call('GET', path, { key });
    const searches: Promise<Reply>[] = [];
    await beside.run(async (tx) => {
      await tx.query('LOCK TABLE messages IN ACCESS EXCLUSIVE MODE');
      for (let n = 0; n < 30; n++) searches.push(get('/messages?search=hello', n % 2 ? user.key : tenant.key));
      await until('searches wait', async () => {
        const waiting = await beside.query(`SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'
          AND datname = current_database()`);
        return waiting.length >= 4;
      });
      const quick = ['/users', '/rooms/all', '/webhooks'].flatMap((path) => [path, path, path]);
      for (const key of [tenant.key, other.key]) {
        const replies = await Promise.all(quick.map((path) => get(path, key)));
        assert.deepEqual(tally(replies), { 200: quick.length });
      }
    });
    const found = await Promise.all(searches);
    assert.deepEqual(tally(found), { 200: 30 });
    assert.ok(found.every(({ body }) => body.pagination.total === 1));
  });
});
