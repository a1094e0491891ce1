import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Database } from '#libs/database';
import {
  aMessage,
  aRoom,
  aTenant,
  aUser,
  startApi,
  testDatabaseUrl,
  type TestApi,
  type TestTenant,
  type TestUser,
} from '../../support/api.js';
import { anOwnDatabase, type OwnDatabase } from '../../support/own-database.js';
import { aSocket, closeSockets, WAYS } from '../../support/sockets.js';

describe('A database that comes back with less than it had', () => {
  let own: OwnDatabase;
  let server: Database;
  let api: TestApi;
  let tenant: TestTenant;
  let anna: TestUser;
  before(async () => {
    own = await anOwnDatabase();
    server = new Database(testDatabaseUrl(), { max: 1 });
    api = await startApi({}, own.url);
    tenant = await aTenant(api);
    anna = await aUser(tenant);
  });
  after(async () => {
    closeSockets();
    await api.stop();
    await server.close();
    await own.drop();
  });

  /** A room as it was at a number, to sessions opened from now on. */
  async function restore(room: string, seq: number): Promise<void> {
    await api.database.query('DELETE FROM messages WHERE room_id = $1 AND seq > $2', [room, seq]);
    await api.database.query(
      `UPDATE room_counters SET seq = $2, message_count = (SELECT count(*) FROM messages WHERE room_id = $1) WHERE room_id = $1`,
      [room, seq],
    );
    await server.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [own.name]);
  }

  for (const way of WAYS) {
    it(`tells those who hear a room to begin anew, and then what happens there (${way})`, async () => {
      const room = await aRoom(tenant, anna);
      const socket = await aSocket(api.url, way, anna.key);
      const kept = await aMessage(tenant, anna, room, 'kept');
      const lost = await aMessage(tenant, anna, room, 'lost');
      await socket.frame('message', (frame) => frame.data.id === lost.id);
      await restore(room, kept.seq);
      assert.equal((await socket.frame('resync', (frame) => frame.room_id === room)).data.seq, kept.seq);
      const reply = await socket.ask('subscribe', { room_id: room, after_seq: lost.seq });
      assert.deepEqual([reply.recovered, reply.seq], [false, kept.seq]);
      const anew = await socket.ask('subscribe', { room_id: room, after_seq: 0 });
      assert.deepEqual([anew.recovered, anew.seq, anew.frames.length], [true, kept.seq, kept.seq]);
      const next = await aMessage(tenant, anna, room, 'next');
      assert.equal(next.seq, lost.seq);
      await socket.frame('message', (frame) => frame.data.id === next.id);
    });
  }

  it('shows in the changes feed: the answer stands before the number asked after', async () => {
    const room = await aRoom(tenant, anna);
    const changes = async (after: number) =>
      (await api.call('GET', `/rooms/${room}/changes?after_seq=${after}`, { key: anna.key })).body.data;
    assert.deepEqual(await changes(7), { room_id: room, seq: 1, has_more: false, frames: [] });
    assert.deepEqual(await changes(1), { room_id: room, seq: 1, has_more: false, frames: [] });
    assert.equal((await changes(0)).frames.length, 1);
  });
});
