import assert from 'node:assert/strict';
import { after, before, beforeEach, afterEach, describe, it } from 'node:test';
import { unavailable } from '#libs/common';
import type { Tx } from '#libs/database';
import { until } from '../../../test/support/concurrency.js';
import { anOwnDatabase, type OwnDatabase } from '../../../test/support/own-database.js';
import { DeliveriesRepository, type AttemptRecord, type Claim, type ClaimRequest } from './deliveries.repository.js';
import { aClient, aDelivery, aHandler, aWorker, type Worker } from './delivery-engine.test-support.js';

describe('The attempts of a delivery', () => {
  let own: OwnDatabase;
  let adder: Worker;
  before(async () => void (own = await anOwnDatabase()));
  after(() => own.drop());
  beforeEach(async () => {
    adder = await aWorker(own.url, [], { jobs: false });
    await adder.database.query('DELETE FROM clients');
  });
  afterEach(() => adder.stop());

  it('makes a failed delivery due again with its schedule from the start, attempts numbered on', async () => {
    let isUp = false;
    const handler = aHandler({ policy: { scheduleSeconds: [0, 0], jitter: 0 } }, () => ({
      result: isUp ? 'sent' : 'retry',
    }));
    const worker = await aWorker(own.url, [handler]);
    const client = await aClient(adder.database);
    const added = aDelivery(client, { subject: 'message.created' });
    await worker.database.run((tx) => worker.deliveries.add(tx, [added]));
    const status = async () => (await worker.log.ofLane(client, 'lane', added.id))!;
    await until('it has failed', async () => (await status()).status === 'failed');
    assert.equal((await status()).attempts.length, 3);
    const again = () =>
      worker.database.run((tx) => worker.deliveries.redeliver(tx, { clientId: client, sourceId: added.sourceId }));
    assert.deepEqual(await again(), [added.id]);
    await until(
      'it has failed again',
      async () => handler.attempts.length === 6 && (await status()).status === 'failed',
    );
    isUp = true;
    await again();
    await until('it is sent', async () => (await status()).status === 'sent');
    assert.deepEqual(
      (await status()).attempts.map((a) => a.attemptNumber),
      [1, 2, 3, 4, 5, 6, 7],
    );
    assert.deepEqual(await again(), [], 'what is sent stays sent');
    await worker.stop();
  });

  it('lets nobody look in vain while the record of an attempt takes longer than its lease', async () => {
    let claims = 0;
    let refusals = 5;
    class Refusing extends DeliveriesRepository {
      override claim(request: ClaimRequest): Promise<Claim> {
        claims++;
        return super.claim(request);
      }
      override async record(tx: Tx, records: AttemptRecord[]): Promise<AttemptRecord[]> {
        if (refusals === 0) return super.record(tx, records);
        const { id } = records[0]!.delivery;
        await adder.database.query(
          `UPDATE deliveries SET next_attempt_at = now() - interval '1 second' WHERE id = $1`,
          [id],
        );
        if (refusals-- === 5) claims = 0;
        throw unavailable('full', Object.assign(new Error('full'), { code: '53100' }));
      }
    }
    const handler = aHandler();
    const worker = await aWorker(own.url, [handler], { repository: (database) => new Refusing(database) });
    const added = aDelivery(await aClient(adder.database));
    await worker.database.run((tx) => worker.deliveries.add(tx, [added]));
    await until('it is recorded', () => handler.settledOnes.length === 1);
    await worker.stop();
    assert.equal(handler.attempts.length, 1);
    assert(claims < 20, `${claims} claims for five tries of the record`);
  });

  it('counts no attempt when nothing was tried', async () => {
    let deferrals = 2;
    const handler = aHandler({}, () =>
      deferrals-- > 0 ? { result: 'deferred', retryAfterMs: 10 } : { result: 'sent' },
    );
    const worker = await aWorker(own.url, [handler]);
    const client = await aClient(adder.database);
    const added = aDelivery(client);
    await worker.database.run((tx) => worker.deliveries.add(tx, [added]));
    await until('it is sent', () => handler.settledOnes.length === 1);
    await worker.stop();
    assert.deepEqual(
      handler.attempts.map((a) => a.attempt),
      [1, 1, 1],
    );
  });

  it('counts no attempt that the database went away under', async () => {
    let cuts = 2;
    const handler = aHandler({}, async () => {
      if (cuts-- > 0) await adder.database.query('SELECT pg_terminate_backend(pg_backend_pid())');
      return { result: 'sent' };
    });
    const worker = await aWorker(own.url, [handler]);
    const client = await aClient(adder.database);
    await worker.database.run((tx) => worker.deliveries.add(tx, [aDelivery(client)]));
    await until('it is sent', () => handler.settledOnes.length === 1);
    await worker.stop();
    assert.deepEqual(
      handler.attempts.map((a) => a.attempt),
      [1, 1, 1],
    );
  });

  it('records the neighbours of an attempt whose handler cannot settle it, and does not repeat that one for ever', async () => {
    const handler = aHandler({
      policy: { scheduleSeconds: [0], jitter: 0 },
      settled: (_tx, settled) =>
        settled.some((s) => s.delivery.target === 'bad') ? Promise.reject(new Error('defect')) : Promise.resolve(),
    });
    const worker = await aWorker(own.url, [handler]);
    const client = await aClient(adder.database);
    const added = ['bad', ...Array.from({ length: 20 }, (_, i) => `good ${i}`)].map((target) =>
      aDelivery(client, { target }),
    );
    await worker.database.run((tx) => worker.deliveries.add(tx, added));
    await until('all ended', async () => {
      const [row] = await worker.database.query<{ n: number }>(
        'SELECT count(*) AS n FROM deliveries WHERE client_id = $1 AND finished_at IS NOT NULL',
        [client],
      );
      return row!.n === added.length;
    });
    const [bad] = await worker.log.ofSource(client, added[0]!.sourceId);
    assert.deepEqual([bad!.status, bad!.errorCode, bad!.attempts.length], ['failed', 'INTERNAL_ERROR', 2]);
    assert.equal(handler.settledOnes.length, 20);
    await worker.stop();
  });
});
