import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { Logger } from '@nestjs/common';
import { RateLimits } from '#libs/security';
import { aTenant, call, startApi, type TestApi } from '../../support/api.js';
import { until } from '../../support/concurrency.js';
import { startRedisServer } from '../../support/redis-server.js';

async function limited(t: TestContext, redisUrl: string): Promise<TestApi> {
  const api = await startApi({ REDIS_URL: redisUrl, RATE_LIMIT_DEFAULT: '4/3600' });
  t.after(() => api.stop());
  await until(
    'Redis is connected',
    () => !api.app.get(RateLimits).degraded && api.app.get(RateLimits).redis?.status === 'ready',
  );
  return api;
}

/** The remaining count of each of `times` calls, −1 for a refused one. */
async function spend(api: TestApi, key: string, times: number): Promise<number[]> {
  const left: number[] = [];
  for (let n = 0; n < times; n++) {
    const { status, headers, text } = await api.call('GET', '/clients/me', { key });
    assert.ok(status === 200 || status === 429, text);
    left.push(status === 429 ? -1 : Number(headers.get('x-ratelimit-remaining')));
  }
  return left;
}

const degraded = async (api: TestApi) =>
  /^chatapi_rate_limit_degraded (\d)$/m.exec((await call(`${api.url}/metrics`, 'GET')).text)?.[1];

describe('Limits of several processes', () => {
  it('are shared through Redis, counted in process while it is down, and shared again when it is back', async (t) => {
    const redis = await startRedisServer();
    if (!redis) return t.skip('redis-server is not installed');
    let running = redis;
    t.after(() => running.stop());
    const [one, two] = [await limited(t, redis.url), await limited(t, redis.url)];
    const said: string[] = [];
    const say = (message: unknown) => void said.push(String(message));
    Logger.overrideLogger({ log: say, warn: say, error: say });
    t.after(() => Logger.overrideLogger(false));

    const shared = await aTenant(one);
    assert.deepEqual(await spend(one, shared.key, 3), [3, 2, 1]);
    assert.deepEqual(await spend(two, shared.key, 2), [0, -1]);
    assert.deepEqual(await spend(one, shared.key, 1), [-1]);
    assert.equal(await degraded(one), '0');

    await running.stop();
    const alone = await aTenant(one);
    assert.deepEqual(await spend(one, alone.key, 5), [3, 2, 1, 0, -1], 'each process counts for itself');
    assert.deepEqual(await spend(two, alone.key, 5), [3, 2, 1, 0, -1]);
    assert.deepEqual([await degraded(one), await degraded(two)], ['1', '1']);
    assert.equal((await call(`${one.url}/health/ready`, 'GET')).status, 503);
    assert.equal(
      said.filter((line) => line.startsWith('Redis does not answer: rate limits')).length,
      2,
      said.join('\n'),
    );

    running = (await startRedisServer(Number(new URL(redis.url).port)))!;
    await until('both are back', async () => (await degraded(one)) === '0' && (await degraded(two)) === '0');
    const again = await aTenant(two);
    assert.deepEqual(await spend(one, again.key, 3), [3, 2, 1]);
    assert.deepEqual(await spend(two, again.key, 2), [0, -1]);
    assert.equal(said.filter((line) => line.startsWith('Redis answers again: rate limits')).length, 2, said.join('\n'));
  });
});
