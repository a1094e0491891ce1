import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrate, startEmbeddedPostgres } from '#libs/database';
import { aTemplateDatabase } from './own-database.js';
import { startRedisServer } from './redis-server.js';

/**
 * Starts what the tests share, unless its URL is set already, and says where by `TEST_DATABASE_URL` and
 * `TEST_REDIS_URL`. Returns what ends it all; what it has started is ended also when a later start fails.
 */
export async function startTestServices(signal: AbortSignal): Promise<() => Promise<void>> {
  const cleanUps: (() => Promise<void> | void)[] = [];
  const stop = async () => {
    for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  };
  try {
    process.env.TEST_DATABASE_URL ??= await startPostgres(cleanUps, signal);
    const template = await aTemplateDatabase();
    cleanUps.push(() => template.drop());
    const redisUrl = process.env.TEST_REDIS_URL ?? (await startRedis(cleanUps));
    if (redisUrl) process.env.TEST_REDIS_URL = redisUrl;
    return stop;
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startPostgres(cleanUps: (() => Promise<void> | void)[], signal: AbortSignal): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'chatapi-tests-'));
  cleanUps.push(() => rmSync(directory, { recursive: true, force: true }));
  const postgres = await startEmbeddedPostgres({ dataDir: join(directory, 'data'), signal });
  cleanUps.push(() => postgres.stop());
  await migrate(postgres.url);
  return postgres.url;
}

async function startRedis(cleanUps: (() => Promise<void> | void)[]): Promise<string | undefined> {
  const redis = await startRedisServer();
  if (redis) cleanUps.push(() => redis.stop());
  else console.log('redis-server is not installed: tests that need it are skipped.');
  return redis?.url;
}
