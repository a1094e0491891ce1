import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import Bull from 'bull';
import { Redis } from 'ioredis';
import { until } from '../../../../test/support/concurrency.js';
import { anOwnDatabase, type OwnDatabase } from '../../../../test/support/own-database.js';
import { startRedisServer, type RedisServer } from '../../../../test/support/redis-server.js';
import {
  aClient,
  aDelivery,
  aHandler,
  aWorker,
  type RecordingHandler,
  type Worker,
} from '../delivery-engine.test-support.js';
import { BullConnections } from './bull-connections.js';
import { BullJobEngine } from './bull-job-engine.js';

const skip = process.env['TEST_REDIS_URL'] ? false : 'no redis-server';

describe('Bull without Redis', { skip }, () => {
  let own: OwnDatabase;
  let redis: RedisServer | undefined;
  let url: string;
  let handler: RecordingHandler;
  let adder: Worker;
  let worker: Worker;
  let client: string;

  before(async () => void (own = await anOwnDatabase()));
  after(() => own.drop());
  beforeEach(async () => {
    redis = (await startRedisServer())!;
    url = redis.url;
    const jobEngine = (): BullJobEngine => {
      const connections = new BullConnections(url);
      return new BullJobEngine(new Bull('deliveries', { createClient: connections.create }), connections);
    };
    handler = aHandler();
    adder = await aWorker(own.url, [], { jobs: false, jobEngine });
    worker = await aWorker(own.url, [handler], { jobEngine });
    client = await aClient(adder.database);
  });
  afterEach(async () => {
    await adder.database.query('DELETE FROM clients');
    await Promise.all([adder.stop(), worker.stop()]);
    await redis?.stop();
  });

  /** Adds deliveries one commit each; answers how long the slowest commit took. */
  async function add(n: number): Promise<number> {
    let slowest = 0;
    for (let i = 0; i < n; i++) {
      const started = performance.now();
      await adder.database.run((tx) => adder.deliveries.add(tx, [aDelivery(client)]));
      slowest = Math.max(slowest, performance.now() - started);
    }
    return slowest;
  }

  const arrived = (n: number): Promise<void> =>
    until(`${n} have arrived`, async () => handler.settledOnes.length === n || (await delay(10), false));

  it('delivers, lets no commit wait, and needs no restart when Redis stops for a while and comes back', async () => {
    await add(20);
    await arrived(20);
    await redis!.stop();
    redis = undefined;
    const slowest = await add(200);
    // One that waited for Redis would not end before that is back.
    assert(slowest < 10_000, `a commit took ${slowest} ms`);
    await arrived(220);
    redis = await startRedisServer(Number(new URL(url).port));
    await add(20);
    await arrived(240);
    // Woken by Bull again: a job passes through Redis.
    const look = new Redis(url);
    await until('a wake-up passes', async () => {
      await add(1);
      return (
        Number(await look.get('bull:deliveries:id')) > 0 || (await look.exists('bull:deliveries:stalled-check')) > 0
      );
    });
    look.disconnect();
  });

  it('delivers what was announced to a Redis that was then flushed, and keeps no pile of wake-ups there', async () => {
    const look = new Redis(url);
    for (let round = 0; round < 10; round++) {
      await Promise.all([add(20), look.flushall(), delay(3).then(() => look.flushall())]);
    }
    await arrived(200);
    await worker.engine.beforeApplicationShutdown();
    await add(100);
    const waiting = await look.llen('bull:deliveries:wait');
    assert(waiting <= 16, `${waiting} wake-ups wait`);
    look.disconnect();
  });

  it('ends in time while Redis is away', async () => {
    await redis!.stop();
    redis = undefined;
    await add(5);
    await arrived(5);
    const started = Date.now();
    await Promise.all([adder.engine.beforeApplicationShutdown(), worker.engine.beforeApplicationShutdown()]);
    assert(Date.now() - started < 20_000);
  });
});

describe('Bull whose Redis was never there', () => {
  it('ends with no rejection that nobody hears, which would end the process', async () => {
    const unheard: unknown[] = [];
    const hear = (reason: unknown): void => void unheard.push(reason);
    process.on('unhandledRejection', hear);
    const connections = new BullConnections('redis://127.0.0.1:1');
    const queue = new Bull('deliveries', { createClient: connections.create });
    const engine = new BullJobEngine(queue, connections);
    const refused = new Promise((resolve) => queue.once('error', resolve));
    await engine.start(() => undefined);
    await refused;
    await engine.stop();
    await until('its connections have ended', () => connections.ended);
    await turn();
    process.off('unhandledRejection', hear);
    assert.deepEqual(unheard, []);
  });
});
