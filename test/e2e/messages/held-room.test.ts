import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Database } from '#libs/database';
import { aRoom, aTenant, aUser, startApi, type Reply, type TestApi } from '../../support/api.js';
import { anOwnDatabase, type OwnDatabase } from '../../support/own-database.js';

describe('A room that somebody else holds at length, as one that is being erased', () => {
  let own: OwnDatabase;
  let api: TestApi;
  let beside: Database;
  before(async () => {
    own = await anOwnDatabase();
    api = await startApi({}, own.url);
    beside = new Database(own.url, { max: 1 });
  });
  after(async () => {
    await api.stop();
    await beside.close();
    await own.drop();
  });

  it('holds up no send to another, and says when to come back', async () => {
    const sendTo = async (): Promise<{ room: string; send: () => Promise<Reply> }> => {
      const tenant = await aTenant(api);
      const user = await aUser(tenant);
      const room = await aRoom(tenant, user);
      const body = { room_id: room, content: 'hello' };
      return { room, send: () => api.call('POST', '/messages', { key: user.key, body }) };
    };
    const [held, free] = [await sendTo(), await sendTo()];
    await beside.run(async (tx) => {
      await tx.query('SELECT 1 FROM room_counters WHERE room_id = $1 FOR UPDATE', [held.room]);
      let waits = true;
      const refused = held.send().finally(() => (waits = false));
      for (let n = 0; n < 3; n++) assert.equal((await free.send()).status, 201);
      assert.ok(waits, 'it was still waiting when the others were through');
      const reply = await refused;
      assert.equal(reply.status, 503, reply.text);
      assert.match(reply.headers.get('retry-after')!, /^[1-9]\d*$/);
    });
    assert.equal((await held.send()).body.data.seq, 2, 'the refused one was not stored');
  });
});
