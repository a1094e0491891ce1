import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import Bull from 'bull';
import { anOwnDatabase, type OwnDatabase } from '../../../test/support/own-database.js';
import { BullConnections } from './bull/bull-connections.js';
import { BullJobEngine } from './bull/bull-job-engine.js';
import { GUARANTEES, prove } from './delivery-engine-guarantees.test-support.js';
import type { WorkerParts } from './delivery-engine.test-support.js';
import { InProcessJobEngine } from './in-process-job-engine.js';
import type { JobEngine } from './job-engine.js';

const REDIS = process.env['TEST_REDIS_URL'];

/** Bull with a queue of its own, shared by the workers of one suite. */
function bullEngine(): () => JobEngine {
  const prefix = `test-${randomUUID()}`;
  return () => {
    const connections = new BullConnections(REDIS!);
    return new BullJobEngine(new Bull('deliveries', { prefix, createClient: connections.create }), connections);
  };
}

const ENGINES: { name: string; parts: () => WorkerParts; skip: string | false }[] = [
  { name: 'in process', parts: () => ({ jobEngine: (database) => new InProcessJobEngine(database) }), skip: false },
  { name: 'Bull', parts: () => ({ jobEngine: bullEngine() }), skip: REDIS ? false : 'no redis-server' },
];

for (const { name, parts, skip } of ENGINES) {
  describe(`Delivery engine, ${name}`, { skip }, () => {
    let own: OwnDatabase;
    let made: WorkerParts;
    before(async () => {
      own = await anOwnDatabase();
      made = parts();
    });
    after(() => own.drop());

    for (const guarantee of GUARANTEES) {
      it(guarantee.name, () => prove(guarantee, { url: own.url, parts: made, patienceMs: 30_000 }));
    }
  });
}
