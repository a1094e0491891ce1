import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, afterEach, before, describe, it } from 'node:test';
import { Redis } from 'ioredis';
import { Timings } from '#libs/realtime';
import { aRoom, aTenant, aUser, startApi, type TestApi, type TestUser } from '../../support/api.js';
import { until } from '../../support/concurrency.js';
import { startRedisServer, type RedisServer } from '../../support/redis-server.js';
import { aSocket, closeSockets, type TestSocket } from '../../support/sockets.js';

describe(
  'Presence while processes stall and Redis forgets',
  { skip: process.env['TEST_REDIS_URL'] ? false : 'redis-server is not installed' },
  () => {
    let redis: RedisServer;
    let env: Record<string, string>;
    let here: TestApi;
    let timings: Timings;
    let ben: TestUser;
    let watcher: TestSocket;
    before(async () => {
      redis = (await startRedisServer())!;
      env = { REDIS_URL: redis.url, ENCRYPTION_KEY: randomBytes(32).toString('base64') };
      here = await startApi(env);
      timings = here.app.get(Timings);
    });
    afterEach(closeSockets);
    after(async () => {
      await here.stop();
      await redis.stop();
    });

    const statuses = () =>
      watcher.frames.flatMap(({ type, data }) =>
        type === 'presence' && data.user_id === ben.id ? [data.status as string] : [],
      );

    /** Anna here sees Ben come online in the other process. */
    async function meet(there: TestApi): Promise<void> {
      const tenant = await aTenant(here);
      const anna = await aUser(tenant);
      ben = await aUser(tenant);
      await aRoom(tenant, anna, { member_ids: [ben.id] });
      watcher = await aSocket(here.url, 'websocket', anna.key);
      await aSocket(there.url, 'websocket', ben.key);
      await until('online', () => statuses().includes('online'));
    }

    it('users of a process that was taken for dead are announced again once it is heard of', async () => {
      const there = await startApi(env);
      await meet(there);
      timings.deadAfterMs = 100;
      await until('offline', () => statuses().includes('offline'));
      timings.deadAfterMs = 12_000;
      await until('online again', () => statuses().at(-1) === 'online');
      assert.deepEqual(statuses(), ['online', 'offline', 'online']);
      await there.stop();
    });

    it('users of a process that died just before Redis lost everything are told offline, the others are not', async () => {
      const there = await startApi(env);
      await meet(there);
      await there.stop();
      const admin = new Redis(redis.url);
      await admin.ping();
      timings.deadAfterMs = 300;
      await admin.flushall();
      admin.disconnect();
      await until('offline', () => statuses().includes('offline'));
      timings.deadAfterMs = 12_000;
      assert.deepEqual(statuses(), ['online', 'offline']);
      assert.equal(watcher.frames.filter((frame) => frame.type === 'presence').length, 2);
    });
  },
);
