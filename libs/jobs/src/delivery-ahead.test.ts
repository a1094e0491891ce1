import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { newId } from '#libs/common';
import { until } from '../../../test/support/concurrency.js';
import { anOwnDatabase, type OwnDatabase } from '../../../test/support/own-database.js';
import { DeliveriesRepository, type Claim, type ClaimRequest } from './deliveries.repository.js';
import { aClient, aDelivery, aHandler, aWorker, type Worker } from './delivery-engine.test-support.js';
import type { AttemptOutcome } from './delivery.js';

/** Notes how much one claim got. */
class NotesClaims extends DeliveriesRepository {
  largest = 0;

  override async claim(request: ClaimRequest): Promise<Claim> {
    const claim = await super.claim(request);
    this.largest = Math.max(this.largest, claim.deliveries.length);
    return claim;
  }
}

describe('Leasing ahead', () => {
  let own: OwnDatabase;
  let adder: Worker;
  before(async () => {
    own = await anOwnDatabase();
  });
  after(() => own.drop());
  beforeEach(async () => {
    adder = await aWorker(own.url, [], { jobs: false });
    await adder.database.query('DELETE FROM clients');
  });
  afterEach(() => adder.stop());

  async function add(client: string, count: number): Promise<void> {
    await adder.database.run((tx) =>
      adder.deliveries.add(
        tx,
        Array.from({ length: count }, () => aDelivery(client)),
      ),
    );
  }

  it('attempts no more of a lane at once than its limit, over two processes, whatever is leased', async () => {
    const limit = 3;
    let running = 0;
    let most = 0;
    const attempt = async (): Promise<AttemptOutcome> => {
      most = Math.max(most, ++running);
      await delay(3);
      running--;
      return { result: 'sent' };
    };
    const handlers = [1, 2].map(() => aHandler({ laneConcurrency: limit }, attempt));
    const notes: NotesClaims[] = [];
    const repository = (database: Worker['database']): NotesClaims => {
      notes.push(new NotesClaims(database));
      return notes.at(-1)!;
    };
    const workers = await Promise.all(handlers.map((h) => aWorker(own.url, [h], { repository })));
    const client = await aClient(adder.database);
    // In several helpings, so that the lane runs empty and changes hands.
    for (let round = 1; round <= 4; round++) {
      await add(client, 150);
      await until('all are sent', () => handlers.flatMap((h) => h.settledOnes).length === round * 150);
    }
    await Promise.all(workers.map((w) => w.stop()));
    assert.equal(most, limit);
    assert.equal(new Set(handlers.flatMap((h) => h.attempts).map((d) => d.id)).size, 600);
    assert.equal(handlers.flatMap((h) => h.attempts).length, 600, 'each once');
    assert(Math.max(...notes.map((n) => n.largest)) > limit, 'a fast lane was leased ahead');
  });

  it('gives back what does not have its turn in time, and counts no attempt', async () => {
    let release = (): void => undefined;
    const opened = new Promise<void>((resolve) => (release = resolve));
    let begun = 0;
    const handler = aHandler({ laneConcurrency: 2 }, async () => {
      if (++begun > 40) await opened;
      return { result: 'sent' };
    });
    const worker = await aWorker(own.url, [handler], { settings: { leaseMarginMs: 1_000, lookEveryMs: 20 } });
    const client = await aClient(adder.database);
    await add(client, 100);
    const leased = async (): Promise<number> => {
      const rows = await adder.database.query(`SELECT 1 FROM deliveries WHERE stage = 'leased'`);
      return rows.length;
    };
    await until('only what runs is leased', async () => begun === 42 && (await leased()) === 2);
    release();
    await until('all are sent', () => handler.settledOnes.length === 100);
    await worker.stop();
    assert.equal(handler.attempts.length, 100);
    assert(handler.attempts.every((d) => d.attempt === 1));
  });

  it('leaves what it has not begun to others when it stops', async () => {
    const slow = aHandler({ laneConcurrency: 2 }, async () => {
      await delay(5);
      return { result: 'sent' };
    });
    const worker = await aWorker(own.url, [slow]);
    const client = await aClient(adder.database);
    await add(client, 400);
    await until('some are sent', () => slow.settledOnes.length > 40);
    await worker.stop();
    const rows = await adder.database.query(`SELECT 1 FROM deliveries WHERE stage = 'leased'`);
    assert.equal(rows.length, 0);
    assert(slow.attempts.length < 400);
  });

  it('gives more than the limit to the one process that has leases in the lane, and to no other', async () => {
    const client = await aClient(adder.database);
    await add(client, 100);
    const repository = new DeliveriesRepository(adder.database);
    const claim = (room: number, owned: Claim[], ahead: number): Promise<Claim> =>
      repository.claim({
        handlers: [aHandler({ laneConcurrency: 3 })],
        room,
        tenantLimit: 100,
        leaseMarginMs: 10_000,
        turn: 0,
        after: newId(0),
        cursors: new Map(),
        busy: new Map(),
        ended: [],
        own: owned.flatMap((c) => c.deliveries.map((d) => d.id)),
        ahead: new Map([[`${client} lane`, ahead]]),
      });
    const one = await claim(1, [], 40);
    assert.equal(one.deliveries.length, 1);
    assert.equal((await claim(100, [], 40)).deliveries.length, 2, 'another may have the rest of the limit');
    assert.equal((await claim(100, [one], 40)).deliveries.length, 0, 'nobody has more while two share the lane');
    await adder.database.query(`UPDATE deliveries SET stage = NULL WHERE stage = 'leased'`);
    const all = await claim(100, [], 40);
    assert.equal(all.deliveries.length, 40);
    assert.equal((await claim(100, [], 40)).deliveries.length, 0);
    assert.equal((await claim(100, [all], 45)).deliveries.length, 5);
  });
});
