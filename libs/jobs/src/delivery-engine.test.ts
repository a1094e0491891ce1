import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { until } from '../../../test/support/concurrency.js';
import { anOwnDatabase, type OwnDatabase } from '../../../test/support/own-database.js';
import { aClient, aDelivery, aHandler, aWorker } from './delivery-engine.test-support.js';

describe('DeliveryEngine', () => {
  let own: OwnDatabase;
  before(async () => void (own = await anOwnDatabase()));
  after(() => own.drop());

  it('delivers what is committed, retries what may pass, and gives up what never will', async () => {
    const handler = aHandler({}, (d) =>
      d.target === 'good' || (d.target === 'later' && d.attempt === 3)
        ? { result: 'sent', providerName: 'p' }
        : { result: d.target === 'bad' ? 'failed' : 'retry', errorCode: 'NOPE', error: 'no' },
    );
    const worker = await aWorker(own.url, [handler]);
    try {
      const client = await aClient(worker.database);
      const added = ['good', 'later', 'bad', 'never'].map((target) => aDelivery(client, { target }));
      await worker.database.run((tx) => worker.deliveries.add(tx, added));
      await until(
        'all ended',
        () => handler.settledOnes.filter((s) => ['sent', 'failed'].includes(s.status)).length === 4,
      );
      const ends = await Promise.all(added.map((d) => worker.log.ofSource(client, d.sourceId)));
      assert.deepEqual(
        ends.map(([d]) => [d!.target, d!.status, d!.attempts.length, d!.errorCode]),
        [
          ['good', 'sent', 1, null],
          ['later', 'sent', 3, null],
          ['bad', 'failed', 1, 'NOPE'],
          ['never', 'failed', 4, 'NOPE'],
        ],
      );
      assert.deepEqual(
        ends[3]![0]!.attempts.map((a) => a.attemptNumber),
        [1, 2, 3, 4],
      );
    } finally {
      await worker.stop();
    }
  });
});
