import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, afterEach, before, describe, it } from 'node:test';
import { Timings } from '#libs/realtime';
import { aRoom, aTenant, aUser, startApi, type TestApi } from '../../support/api.js';
import { until } from '../../support/concurrency.js';
import { Door } from '../../support/door.js';
import { startRedisServer, type RedisServer } from '../../support/redis-server.js';
import { aSocket, closeSockets, connect } from '../../support/sockets.js';

describe(
  'Sockets that close while Redis cannot be reached',
  { skip: process.env['TEST_REDIS_URL'] ? false : 'redis-server is not installed' },
  () => {
    let redis: RedisServer;
    let door: Door;
    let api: TestApi;
    let there: TestApi;
    before(async () => {
      redis = (await startRedisServer())!;
      const { hostname, port } = new URL(redis.url);
      door = await Door.to(hostname, Number(port));
      const shared = {
        ENCRYPTION_KEY: randomBytes(32).toString('base64'),
        WS_MAX_CONNECTIONS_PER_PRINCIPAL: '2',
      };
      api = await startApi({ ...shared, REDIS_URL: `redis://127.0.0.1:${door.number}` });
      there = await startApi({ ...shared, REDIS_URL: redis.url });
      // Not so long that the process is taken for dead.
      for (const one of [api, there])
        Object.assign(one.app.get(Timings), { offlineGraceMs: 100, deadAfterMs: 600_000 });
    });
    afterEach(closeSockets);
    after(async () => {
      await api.stop();
      await there.stop();
      await door.shut();
      await redis.stop();
    });

    it('give their places back, and leave nobody online', async () => {
      const tenant = await aTenant(api);
      const [anna, ben] = [await aUser(tenant), await aUser(tenant)];
      const room = await aRoom(tenant, anna, { member_ids: [ben.id] });
      const online = async () =>
        (await there.call('GET', `/rooms/${room}/online`, { key: anna.key })).body.data.online_users as string[];
      const watcher = await aSocket(there.url, 'websocket', anna.key);
      const sockets = [await aSocket(api.url, 'websocket', ben.key), await aSocket(api.url, 'websocket', ben.key)];
      assert.deepEqual(await online(), [anna.id, ben.id].sort());
      await door.shut();
      for (const socket of sockets) socket.close();
      await until('offline here', async () => {
        const { body } = await api.call('GET', `/rooms/${room}/online`, { key: anna.key });
        return body.data.total_online === 0;
      });
      await door.open();
      await until('offline there', async () => !(await online()).includes(ben.id));
      assert.equal(watcher.closed, undefined);
      // Both places are free, for any process.
      await aSocket(there.url, 'websocket', ben.key);
      await aSocket(api.url, 'websocket', ben.key);
      const third = connect(there.url, 'websocket', { token: ben.key });
      assert.equal((await third.ended()).code, 4004);
    });
  },
);
