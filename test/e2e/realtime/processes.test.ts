import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, afterEach, before, describe, it } from 'node:test';
import { Timings } from '#libs/realtime';
import {
  aMessage,
  aRoom,
  aTenant,
  aUser,
  call,
  startApi,
  type TestApi,
  type TestTenant,
  type TestUser,
} from '../../support/api.js';
import { until } from '../../support/concurrency.js';
import { startRedisServer, type RedisServer } from '../../support/redis-server.js';
import { aSocket, closeSockets, connect, WAYS } from '../../support/sockets.js';

describe(
  'Two processes with Redis',
  { skip: process.env['TEST_REDIS_URL'] ? false : 'redis-server is not installed' },
  () => {
    let redis: RedisServer;
    let here: TestApi;
    let there: TestApi;
    let tenant: TestTenant;
    let anna: TestUser;
    let ben: TestUser;
    let room: string;
    before(async () => {
      redis = (await startRedisServer())!;
      const env = { REDIS_URL: redis.url, ENCRYPTION_KEY: randomBytes(32).toString('base64') };
      [here, there] = [await startApi(env), await startApi(env)];
      for (const api of [here, there]) api.app.get(Timings).offlineGraceMs = 300;
      tenant = await aTenant(here);
      [anna, ben] = [await aUser(tenant), await aUser(tenant)];
      room = await aRoom(tenant, anna, { member_ids: [ben.id] });
    });
    afterEach(closeSockets);
    after(async () => {
      await Promise.all([here.stop(), there.stop()]);
      await redis.stop();
    });

    const fills = async () =>
      /^chatapi_socket_fills_total (\d+)$/m.exec((await call(`${there.url}/metrics`, 'GET')).text)![1];

    for (const way of WAYS) {
      it(`every change of one process is heard in the other, over ${way}`, async () => {
        const socket = await aSocket(there.url, way, ben.key);
        const before = await fills();
        const sent = await aMessage(tenant, anna, room, 'across');
        await socket.frame('message', (frame) => frame.data.id === sent.id);
        await here.call('PUT', `/messages/${sent.id}`, { key: anna.key, body: { content: 'edited' } });
        await socket.frame('message_updated');
        await here.call('POST', `/rooms/${room}/read`, { key: anna.key, body: { seq: sent.seq } });
        await socket.frame('read');
        assert.equal(await fills(), before, 'by word of the other process, not by filling');
      });
    }

    it('a user who joins by another process hears the room at once, and loses it when removed there', async () => {
      const carl = await aUser(tenant);
      const socket = await aSocket(there.url, 'websocket', carl.key);
      await here.call('POST', `/rooms/${room}/join`, { key: carl.key, body: {} });
      await socket.frame('user_joined', (frame) => frame.data.user_id === carl.id);
      const sent = await aMessage(tenant, anna, room, 'hello carl');
      await socket.frame('message', (frame) => frame.data.id === sent.id);
      await here.call('DELETE', `/rooms/${room}/members/${carl.id}`, { key: anna.key });
      await socket.frame('user_left');
      await aMessage(tenant, anna, room, 'after carl');
      await socket.ask('ping');
      assert.equal(socket.changes(room).at(-1)!.type, 'user_left');
    });

    it('presence is one over both: online with the first socket, offline after the last', async () => {
      const [anna, ben] = [await aUser(tenant), await aUser(tenant)];
      const room = await aRoom(tenant, anna, { member_ids: [ben.id] });
      const watcher = await aSocket(here.url, 'websocket', anna.key);
      const about = (status: string) =>
        watcher.frames.filter((f) => f.type === 'presence' && f.data.user_id === ben.id && f.data.status === status)
          .length;
      const [one, two] = [await aSocket(here.url, 'websocket', ben.key), await aSocket(there.url, 'socketio', ben.key)];
      await until('online', () => about('online') === 1);
      for (const api of [here, there]) {
        const { body } = await api.call('GET', `/rooms/${room}/online`, { key: anna.key });
        assert.deepEqual(body.data, { online_users: [anna.id, ben.id].sort(), total_online: 2 });
      }
      one.close();
      await watcher.ask('ping');
      two.close();
      await until('offline', () => about('offline') === 1);
      assert.equal(about('online'), 1);
      const { body } = await there.call('GET', `/rooms/${room}/online`, { key: anna.key });
      assert.deepEqual(body.data, { online_users: [anna.id], total_online: 1 });
      assert.deepEqual(await watcher.ask('get_online_users', { room_id: room }), body.data);
    });

    it('connection limits count over both', async () => {
      const user = await aUser(tenant);
      const all = await Promise.all(
        Array.from({ length: 10 }, (_, index) => aSocket((index % 2 ? here : there).url, 'websocket', user.key)),
      );
      for (const api of [here, there])
        assert.deepEqual(await connect(api.url, 'websocket', { token: user.key }).ended(), { code: 4004 });
      all[0]!.close();
      await until('a place', async () => {
        const socket = connect(here.url, 'websocket', { token: user.key });
        await until('an answer', () => socket.closed !== undefined || socket.frames.length > 0);
        return socket.frames[0]?.type === 'connection_status';
      });
    });

    it('a ticket works once, on any process', async () => {
      const { body } = await here.call('GET', '/websocket/open', { key: ben.key });
      const tickets = [here, there, there].map((api) => connect(api.url, 'websocket', { ticket: body.data.ticket }));
      await until('all are answered', () => tickets.every((s) => s.closed !== undefined || s.frames.length > 0));
      assert.equal(tickets.filter((s) => s.frames[0]?.type === 'connection_status').length, 1);
    });

    it('goes on without Redis: what the other process changes is found in the database, in order', async () => {
      const carl = await aUser(tenant);
      const [socket, removed] = [
        await aSocket(there.url, 'websocket', ben.key),
        await aSocket(there.url, 'websocket', carl.key),
      ];
      await here.call('POST', `/rooms/${room}/join`, { key: carl.key, body: {} });
      await removed.frame('user_joined');
      await redis.stop();
      const contents = ['one', 'two', 'three'];
      for (const content of contents) await aMessage(tenant, anna, room, content);
      await socket.frame('message', (frame) => frame.data.content === 'three');
      const heard = socket.changes(room).map((frame) => frame.data.content as string);
      assert.deepEqual(heard.slice(-3), contents);
      // A room joined meanwhile, and one lost.
      const other = await aRoom(tenant, anna, { member_ids: [ben.id] });
      await aMessage(tenant, anna, other, 'new room');
      await socket.frame('message', (frame) => frame.room_id === other);
      await here.call('DELETE', `/rooms/${room}/members/${carl.id}`, { key: anna.key });
      await removed.frame('user_left');
      await socket.ask('send_message', { room_id: room, content: 'from there' });
      const seqs = socket.changes(room).map((frame) => frame.seq!);
      assert.deepEqual(
        seqs,
        [...new Set(seqs)].sort((a, b) => a - b),
      );
    });
  },
);
