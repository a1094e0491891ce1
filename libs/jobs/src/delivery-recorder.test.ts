import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { newId, unavailable } from '#libs/common';
import type { Database } from '#libs/database';
import type { AttemptRecord, DeliveriesRepository } from './deliveries.repository.js';
import { DeliveryRecorder } from './delivery-recorder.js';
import type { DeliveryHandler } from './delivery.js';

/** A sent attempt whose lease ended a day ago. */
function aRecord(): AttemptRecord {
  const fields = { kind: 'test', sourceId: newId(), lane: 'lane', target: 'x', orderKey: null, attempt: 1, step: 1 };
  const [createdAt, leaseUntil] = [new Date(), new Date(Date.now() - 86_400_000)];
  return {
    delivery: { id: newId(), clientId: newId(), ...fields, createdAt, leaseUntil },
    outcome: { result: 'sent' },
    status: 'sent',
    nextInMs: null,
    responseTimeMs: 1,
    attemptedAt: new Date(),
  };
}

/** Records against a database that first fails so; answers what was recorded in the end. */
async function recordAfter(failures: Error[]): Promise<{ given: AttemptRecord; own: AttemptRecord[] }> {
  const database = {
    run: (work: (tx: unknown) => Promise<unknown>) => {
      const failure = failures.shift();
      return failure ? Promise.reject(failure) : work({});
    },
  } as unknown as Database;
  const repository = {
    record: (_tx: unknown, records: AttemptRecord[]) => Promise.resolve(records),
    release: () => Promise.resolve(),
  } as unknown as DeliveriesRepository;
  const handler = { kind: 'test' } as DeliveryHandler;
  const given = aRecord();
  const told: AttemptRecord[] = [];
  const recorder = new DeliveryRecorder(
    database,
    repository,
    () => handler,
    (_records, own) => told.push(...own),
    () => false,
  );
  recorder.add(given);
  await recorder.drained();
  return { given, own: told };
}

describe('The record of an attempt', () => {
  const away = (code: string) => unavailable('away', Object.assign(new Error('away'), { code }));

  it('outlasts a database that is away longer than the lease', async () => {
    const { given, own } = await recordAfter(['ECONNREFUSED', '57P03', '53100', '25006'].map(away));
    assert.deepEqual(own, [given]);
  });

  it('is given up when the database is there and does not take it in the time of the lease', async () => {
    const { own } = await recordAfter([away('57014')]);
    assert.deepEqual(own, []);
  });
});
