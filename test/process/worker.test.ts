import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Database } from '#libs/database';
import { startChild } from '../support/child.js';
import { until } from '../support/concurrency.js';
import { freePort } from '../support/free-port.js';
import { anOwnDatabase, type OwnDatabase } from '../support/own-database.js';

const WORKER = 'apps/worker/src/main.js';

describe('The worker', () => {
  let own: OwnDatabase;
  let database: Database;
  const dataDir = mkdtempSync(join(tmpdir(), 'chatapi-worker-'));
  before(async () => {
    own = await anOwnDatabase();
    database = new Database(own.url, { onError: () => undefined });
  });
  after(async () => {
    await database.close();
    await own.drop();
    rmSync(dataDir, { recursive: true, force: true });
  });

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`runs the scheduled jobs, listens on no port, and ends with 0 on ${signal}`, async () => {
      await database.query('DELETE FROM scheduled_jobs');
      const probe = createServer().listen(0, '127.0.0.1');
      await once(probe, 'listening');
      const { port } = probe.address() as AddressInfo;
      // The port is taken, and the worker does not mind.
      const worker = startChild(WORKER, { DATABASE_URL: own.url, DATA_DIR: dataDir, PORT: String(port) });
      await until('it has run what was due', async () => {
        assert.equal(worker.process.exitCode, null, worker.output());
        const [row] = await database.query<{ n: number }>(
          'SELECT count(*) AS n FROM scheduled_jobs WHERE last_run_at IS NOT NULL',
        );
        return row!.n > 0;
      });
      assert.match(worker.output(), /worker is running/);
      worker.process.kill(signal);
      assert.equal(await worker.exit, 0, worker.output());
      probe.close();
    });
  }

  it('serves health and metrics, and nothing else, where WORKER_PORT says', async () => {
    const port = await freePort();
    const worker = startChild(WORKER, { DATABASE_URL: own.url, DATA_DIR: dataDir, WORKER_PORT: `${port}` });
    const ask = (path: string, method = 'GET') => fetch(`http://127.0.0.1:${port}${path}`, { method });
    await until('it is ready', async () => {
      assert.equal(worker.process.exitCode, null, worker.output());
      return (await ask('/health/ready').catch(() => undefined))?.status === 200;
    });
    assert.deepEqual(await (await ask('/health/ready')).json(), {
      status: 'ok',
      checks: { database: 'ok', migrations: 'ok' },
    });
    assert.deepEqual(await (await ask('/health/live/')).json(), { status: 'ok' });
    assert.match(await (await ask('/metrics')).text(), /chatapi_db_pool_total \d/);
    assert.equal((await ask('/api/v1/clients/me')).status, 404);
    assert.equal((await ask('/metrics', 'POST')).status, 404);
    assert.equal((await ask('/constructor')).status, 404);
    const rival = startChild(WORKER, { DATABASE_URL: own.url, DATA_DIR: dataDir, WORKER_PORT: `${port}` });
    assert.equal(await rival.exit, 1);
    assert.match(rival.output(), /^Port \d+ is taken[^\n]*WORKER_PORT[^\n]*\n$/);
    worker.process.kill('SIGTERM');
    assert.equal(await worker.exit, 0, worker.output());
  });

  it('says everything that keeps it from starting', async () => {
    const worker = startChild(WORKER, { JOBS: 'off' });
    assert.equal(await worker.exit, 1);
    assert.match(worker.output(), /- DATABASE_URL is required[^\n]*\n {2}- JOBS must not be off/);
  });

  it('ends with 0 while Redis is down', async () => {
    const worker = startChild(WORKER, { DATABASE_URL: own.url, DATA_DIR: dataDir, REDIS_URL: 'redis://127.0.0.1:1' });
    await until('it runs', () => worker.output().includes('running') || worker.process.exitCode !== null);
    worker.process.kill('SIGTERM');
    assert.equal(await worker.exit, 0, worker.output());
  });
});
