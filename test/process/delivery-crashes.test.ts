import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { aClient, aDelivery, aWorker, type Worker } from '../../libs/jobs/src/delivery-engine.test-support.js';
import { startChild } from '../support/child.js';
import { until } from '../support/concurrency.js';
import { kills } from '../support/kills.js';
import { anOwnDatabase, type OwnDatabase } from '../support/own-database.js';

const KILLS = 10;
const PER_LIFE = 100;
/** The worker's time for an attempt and what its lease has on top: nobody holds a delivery for longer. */
const LEASE_MS = 2_000;
/** What the last leases and all that is left may take on a slow machine. */
const PATIENCE_MS = 90_000;

describe('Workers that are killed', () => {
  const redis = process.env['TEST_REDIS_URL'];
  let sink: Server;
  let sinkUrl: string;
  let arrived: Set<string>;
  /** How often each attempt has arrived: one that took too long is followed by the next, of another number. */
  let times: Map<string, number>;
  let own: OwnDatabase;
  let adder: Worker;

  before(async () => {
    sink = createServer((request, response) => {
      let body = '';
      request.on('data', (part) => (body += part));
      request.on('end', () => {
        const { id, attempt } = JSON.parse(body) as { id: string; attempt: number };
        arrived.add(id);
        times.set(`${id} ${attempt}`, (times.get(`${id} ${attempt}`) ?? 0) + 1);
        response.end();
      });
    }).listen(0, '127.0.0.1');
    await once(sink, 'listening');
    sinkUrl = `http://127.0.0.1:${(sink.address() as AddressInfo).port}`;
    own = await anOwnDatabase();
    adder = await aWorker(own.url, [], { jobs: false });
  });
  after(async () => {
    await adder.stop();
    await own.drop();
    sink.closeAllConnections();
    sink.close();
  });

  for (const engine of ['in process', 'Bull'] as const) {
    const skip = engine === 'Bull' && !redis ? 'no redis-server' : false;
    it(`lose nothing and leave nothing in limbo, ${engine}`, { skip }, async (t) => {
      [arrived, times] = [new Set(), new Map()];
      const env = { DATABASE_URL: own.url, SINK_URL: sinkUrl, ...(engine === 'Bull' ? { REDIS_URL: redis! } : {}) };
      const start = () => startChild('test/support/counting-worker.js', env);
      const clients = await Promise.all([1, 2, 3, 4].map(() => aClient(adder.database)));
      let worker = start();
      t.after(() => worker.kill());
      let atRisk = 0;
      let killed = 0;
      for (const kill of kills(KILLS)) {
        killed = kill + 1;
        const added = Array.from({ length: PER_LIFE }, (_, i) =>
          aDelivery(clients[i % 4]!, { kind: 'counted', lane: `lane ${i % 3}` }),
        );
        await adder.database.run((tx) => adder.deliveries.add(tx, added));
        const seen = arrived.size;
        // Somewhere in its work: after it has begun some, so that most kills hit attempts in flight.
        await until('it works', () => arrived.size > seen + Math.random() * 40);
        await delay(Math.random() * 5);
        await worker.kill();
        const [leased] = await adder.database.query<{ n: number; ms: number }>(
          `SELECT count(*) AS n, coalesce(max(extract(epoch FROM next_attempt_at - now()) * 1000), 0)::float8 AS ms
           FROM deliveries WHERE kind = 'counted' AND stage = 'leased'`,
        );
        assert(leased!.ms <= LEASE_MS, `a killed worker holds a delivery for ${leased!.ms} ms`);
        atRisk += leased!.n;
        worker = start();
      }
      const left = async (): Promise<number> => {
        const [row] = await adder.database.query<{ n: number }>(
          `SELECT count(*) AS n FROM deliveries WHERE kind = 'counted' AND finished_at IS NULL`,
        );
        return row!.n;
      };
      await until('all are delivered', async () => (await left()) === 0, PATIENCE_MS);
      const statuses = await adder.database.query<{ status: string; n: number }>(
        `SELECT status, count(*) AS n FROM deliveries WHERE kind = 'counted' AND client_id = ANY ($1) GROUP BY status`,
        [clients],
      );
      assert.deepEqual(statuses, [{ status: 'sent', n: killed * PER_LIFE }]);
      assert.equal(arrived.size, killed * PER_LIFE, 'each has arrived');
      const twice = [...times.values()].reduce((sum, n) => sum + n - 1, 0);
      assert(twice <= atRisk, `${twice} arrived again, though only ${atRisk} were in flight when a worker was killed`);
      t.diagnostic(`${killed} kills, ${atRisk} in flight then, ${twice} of them arrived twice`);
      await until('the last worker is ready', () => worker.output().includes('ready'));
      worker.process.kill('SIGTERM');
      assert.equal(await worker.exit, 0, worker.output());
    });
  }
});
