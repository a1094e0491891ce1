import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, beforeEach, afterEach, describe, it } from 'node:test';
import { newId } from '#libs/common';
import { Database } from '#libs/database';
import { until } from '../../../test/support/concurrency.js';
import { anOwnDatabase, type OwnDatabase } from '../../../test/support/own-database.js';
import { rowsRead } from '../../../test/support/rows-read.js';
import { aClient, aDelivery, aHandler, aWorker, type Worker } from './delivery-engine.test-support.js';
import { deliveryParams, INSERT_DELIVERIES } from './deliveries.js';
import {
  DeliveriesRepository,
  type AttemptRecord,
  type Claim,
  type ClaimRequest,
  type LeasedDelivery,
} from './deliveries.repository.js';
import { PRIORITIES, type AttemptOutcome, type NewDelivery } from './delivery.js';

/** When what is behind another goes by itself, at the earliest. */
const BEHIND_MS = 15_000;

describe('The queue of deliveries', () => {
  let own: OwnDatabase;
  let adder: Worker;
  before(async () => void (own = await anOwnDatabase()));
  after(() => own.drop());
  beforeEach(async () => {
    adder = await aWorker(own.url, [], { jobs: false });
    await adder.database.query('DELETE FROM clients');
  });
  afterEach(() => adder.stop());

  async function add(deliveries: NewDelivery[]): Promise<void> {
    for (let from = 0; from < deliveries.length; from += 5_000) {
      await adder.database.run((tx) => adder.deliveries.add(tx, deliveries.slice(from, from + 5_000)));
    }
  }

  /** A claim by hand. */
  function claim(
    fields: Partial<ClaimRequest> = {},
    laneConcurrency = 10,
    on: Pick<Database, 'prepared'> = adder.database,
  ): Promise<Claim> {
    return new DeliveriesRepository(on as Database).claim({
      handlers: [aHandler({ laneConcurrency })],
      room: 100,
      tenantLimit: 100,
      leaseMarginMs: 10_000,
      turn: 0,
      after: newId(0),
      cursors: new Map(),
      busy: new Map(),
      ended: [],
      own: [],
      ahead: new Map(),
      ...fields,
    });
  }

  it('never has more of a lane in flight than its limit, over two processes', async () => {
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
    const workers = await Promise.all(
      handlers.map((h) =>
        aWorker(own.url, [h], { settings: { lookEveryMs: 5, concurrency: 2, tenantConcurrency: 2 } }),
      ),
    );
    const client = await aClient(adder.database);
    await add(Array.from({ length: 300 }, () => aDelivery(client)));
    await until('all are sent', () => handlers.flatMap((h) => h.settledOnes).length === 300);
    await Promise.all(workers.map((w) => w.stop()));
    assert.equal(most, limit);
    assert(
      handlers.every((h) => h.attempts.length > 0),
      'both processes had a share',
    );
  });

  it('keeps an order key in order, one at a time, past a failure and through a retry, and holds nobody else', async () => {
    const seen: string[] = [];
    const running = new Map<string, number>();
    const handler = aHandler({ policy: { scheduleSeconds: [0.05, 0.05], jitter: 0 } }, async (d) => {
      const key = d.target.split('/')[0]!;
      assert.equal(running.get(key) ?? 0, 0, 'one at a time');
      running.set(key, 1);
      await delay(Math.random() * 4);
      running.set(key, 0);
      if (d.target.endsWith('/3')) return { result: 'failed' };
      if (d.target.endsWith('/5') && d.attempt < 3) return { result: 'retry' };
      seen.push(d.target);
      return { result: 'sent' };
    });
    const workers = await Promise.all([aWorker(own.url, [handler]), aWorker(own.url, [handler])]);
    const client = await aClient(adder.database);
    const keys = ['a', 'b', 'c'];
    const added = Array.from({ length: 30 }, (_, i) =>
      keys.map((orderKey) => aDelivery(client, { orderKey, target: `${orderKey}/${i}` })),
    ).flat();
    // Out of their order, so that a later one may be there before an earlier one is.
    await add(added);
    await until('all ended', () => handler.settledOnes.filter((s) => s.status !== 'retrying').length === added.length);
    await Promise.all(workers.map((w) => w.stop()));
    for (const key of keys) {
      const expected = Array.from({ length: 30 }, (_, i) => `${key}/${i}`).filter((target) => !target.endsWith('/3'));
      assert.deepEqual(
        seen.filter((target) => target.startsWith(`${key}/`)),
        expected,
      );
    }
  });

  it('lets the next of an order key go when the one before is cancelled', async () => {
    const client = await aClient(adder.database);
    const [first, second] = [
      aDelivery(client, { orderKey: 'k', dueAt: new Date(Date.now() + 3_600_000) }),
      aDelivery(client, { orderKey: 'k' }),
    ];
    await add([first, second]);
    assert.deepEqual((await claim()).deliveries, []);
    const cancelled = await adder.database.run((tx) =>
      adder.deliveries.cancel(tx, { clientId: client, ids: [first.id] }),
    );
    assert.deepEqual(cancelled, [first.id]);
    let claimed: string[] = [];
    await until('the next may go', async () => {
      claimed = (await claim()).deliveries.map((d) => d.id);
      return claimed.length > 0;
    });
    assert.deepEqual(claimed, [second.id]);
  });

  it('serves the more urgent first, and never lets the low starve', async () => {
    // Each claim gives the low a turn by chance, and takes several: so many that chance cannot miss them all.
    const EACH = 600;
    const client = await aClient(adder.database);
    const order: string[] = [];
    const handler = aHandler({ laneConcurrency: 1 }, (d) => {
      order.push(d.target);
      return { result: 'sent' };
    });
    const added = [...PRIORITIES]
      .reverse()
      .flatMap((priority) =>
        Array.from({ length: EACH }, () =>
          aDelivery(client, { priority, target: priority, dueAt: new Date(Date.now() - 60_000) }),
        ),
      );
    await add(added);
    const worker = await aWorker(own.url, [handler]);
    await until('all are sent', () => order.length === added.length);
    await worker.stop();
    const middle = (priority: string) =>
      order.map((p, i) => (p === priority ? i : -1)).filter((i) => i >= 0)[EACH / 2]!;
    assert(middle('urgent') < middle('high') && middle('high') < middle('normal') && middle('normal') < middle('low'));
    assert(order.indexOf('low') < EACH * 2.5, `the first low one came after ${order.indexOf('low')} others`);
  });

  it('does not let one tenant’s thousands hold up another’s single one, nor a hanging lane another', async () => {
    const [crowd, single] = [await aClient(adder.database), await aClient(adder.database)];
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const before: string[] = [];
    const handler = aHandler({ laneConcurrency: 64 }, async (d) => {
      before.push(`${d.clientId === crowd ? 'crowd' : 'single'} ${d.lane}`);
      if (d.lane === 'hangs') await held;
      await delay(2);
      return { result: 'sent' };
    });
    await add(Array.from({ length: 3_000 }, (_, i) => aDelivery(crowd, { lane: i % 2 ? 'hangs' : 'goes' })));
    const worker = await aWorker(own.url, [handler], { settings: { concurrency: 96, tenantConcurrency: 80 } });
    await until('the crowd has begun', () => before.length >= 80);
    await add([aDelivery(single)]);
    // Another process added it: this one looks when it has room.
    await until('the single one is served', () => before.includes('single lane'));
    assert(before.length < 1_500, `${before.length} came first`);
    await until('the lane that goes is through', () => before.filter((b) => b === 'crowd goes').length === 1_500);
    assert.equal(before.filter((b) => b === 'crowd hangs').length, 64);
    release();
    await until('all are sent', () => handler.settledOnes.length === 3_001);
    await worker.stop();
  });

  it('lets the next of an order go at once although a claim was putting it behind as the one before ended', async () => {
    const client = await aClient(adder.database);
    let end = (): void => undefined;
    const held = new Promise<void>((resolve) => (end = resolve));
    const handler = aHandler({ laneConcurrency: 2 }, async () => (await held, { result: 'sent' }));
    const worker = await aWorker(own.url, [handler]);
    const [first, second] = [1, 2].map(() => aDelivery(client, { orderKey: 'room' })) as [NewDelivery, NewDelivery];
    await worker.database.run((tx) => worker.deliveries.add(tx, [first]));
    await until('the first is attempted', () => handler.attempts.length === 1);
    const statusOf = async ({ id }: NewDelivery) =>
      (await adder.database.query<{ status: string }>('SELECT status FROM deliveries WHERE id = $1', [id]))[0]!.status;
    await adder.database.run(async (tx) => {
      // Nobody is told of it: this claim is the first to see it.
      await adder.database.query(INSERT_DELIVERIES, deliveryParams([second]));
      assert.deepEqual((await claim({}, 10, tx)).deliveries, []);
      end();
      await until('the end of the first is recorded', async () => (await statusOf(first)) === 'sent');
      await until('somebody waits for this claim to be over', async () => {
        const waiting = await adder.database.query(
          `SELECT 1 FROM pg_locks l JOIN pg_database d ON d.oid = l.database
           WHERE d.datname = current_database() AND l.locktype = 'advisory' AND NOT l.granted`,
        );
        return waiting.length > 0;
      });
    });
    await until('the second is sent', () => handler.settledOnes.length === 2, BEHIND_MS / 2);
    await worker.stop();
  });

  it('shares a claim out between tenants and between lanes, and goes on where it stopped', async () => {
    const clients = await Promise.all(Array.from({ length: 20 }, () => aClient(adder.database)));
    await add(
      clients.flatMap((client) =>
        ['a', 'b', 'c', 'd'].flatMap((lane) => [1, 2, 3].map(() => aDelivery(client, { lane }))),
      ),
    );
    const first = await claim({ room: 10 });
    assert.equal(new Set(first.deliveries.map((d) => d.clientId)).size, 10);
    const second = await claim({ room: 10, after: first.after! });
    const served = new Set([...first.deliveries, ...second.deliveries].map((d) => d.clientId));
    assert.equal(served.size, 20);
    const [client] = clients.sort();
    const cursors = new Map([[client!, 'b']]);
    const third = await claim({ room: 1, cursors });
    assert.deepEqual(
      third.deliveries.map((d) => [d.clientId, d.lane]),
      [[client, 'c']],
    );
    // What one tenant may have in this process is not exceeded.
    const fourth = await claim({ room: 80, tenantLimit: 5, busy: new Map([[client!, 4]]) });
    assert.equal(fourth.deliveries.filter((d) => d.clientId === client).length, 1);
  });

  /** Whatever the planner has been told of the queue, and when. */
  for (const told of ['nothing', 'that it is empty', 'that it is small', 'as it is'] as const) {
    it(`touches no more rows for a claim and its records with 100,000 waiting than with 100, when the planner knows ${told}`, async () => {
      const fill = async (n: number, dueAt?: Date): Promise<void> => {
        const client = await aClient(adder.database);
        await add(Array.from({ length: n }, () => aDelivery(client, { dueAt })));
      };
      const tell = (when: typeof told) => when === told && adder.database.query('ANALYZE deliveries');
      const touched = async (): Promise<number[]> => {
        // A connection of its own plans anew, with what is known of the table by then.
        const database = new Database(own.url, { max: 1 });
        const counts = await database.run(async (tx) => {
          await tx.query('SET LOCAL enable_seqscan = on');
          // Planned for any values, as it is after a few of them.
          await tx.query('SET LOCAL plan_cache_mode = force_generic_plan');
          const before = await rowsRead(tx);
          const { deliveries } = await claim({ room: 64 }, 64, tx);
          const claimed = await rowsRead(tx);
          assert.equal(deliveries.length, 64);
          const own = await new DeliveriesRepository(database).record(tx, deliveries.map(sent));
          assert.equal(own.length, 64);
          const recorded = await rowsRead(tx);
          const [row] = await tx.query<{ seq: number }>(
            `SELECT sum(seq_scan)::integer AS seq FROM pg_stat_xact_user_tables WHERE relname LIKE 'deliver%'`,
          );
          assert.equal(row!.seq, 0, 'no table scan');
          return [claimed - before, recorded - claimed];
        });
        await database.close();
        return counts;
      };
      await fill(100);
      const few = await touched();
      await adder.database.query('DELETE FROM clients');
      await tell('that it is empty');
      await fill(100);
      await tell('that it is small');
      await fill(100_000);
      // And some that are not due.
      await fill(20_000, new Date(Date.now() + 3_600_000));
      await tell('as it is');
      const many = await touched();
      for (const [index, what] of ['claim', 'record'].entries()) {
        assert.ok(few[index]! >= 64 && few[index]! < 1_000, `${what}: ${few[index]} rows for 100`);
        assert.ok(many[index]! <= few[index]! * 1.5, `${what}: ${many[index]} rows for 100,000, ${few[index]} for 100`);
      }
    });

    it(`lets the next of an order go with no more rows when 100,000 wait, when the planner knows ${told}`, async () => {
      const client = await aClient(adder.database);
      const fill = (n: number): Promise<void> =>
        add(
          Array.from({ length: n }, (_, i) =>
            aDelivery(client, {
              orderKey: `room ${i % 1_000}`,
              // Some are not due.
              ...(i % 5 === 0 && { dueAt: new Date(Date.now() + 3_600_000) }),
            }),
          ),
        );
      const tell = (when: typeof told) => when === told && adder.database.query('ANALYZE deliveries');
      const released = async (): Promise<number> => {
        const held = Array.from({ length: 8 }, () => aDelivery(client, { orderKey: newId() }));
        await add(held);
        const ids = held.map(({ id }) => id);
        await adder.database.query(`UPDATE deliveries SET stage = 'behind' WHERE id = ANY ($1)`, [ids]);
        const database = new Database(own.url, { max: 1 });
        const read = await database.run(async (tx) => {
          await tx.query('SET LOCAL plan_cache_mode = force_generic_plan');
          const before = await rowsRead(tx);
          await new DeliveriesRepository(tx as unknown as Database).release(
            held.map(({ clientId, lane, orderKey }) => ({ clientId, lane, orderKey: orderKey! })),
          );
          return (await rowsRead(tx)) - before;
        });
        await database.close();
        const rows = await adder.database.query<{ stage: string }>('SELECT stage FROM deliveries WHERE id = ANY ($1)', [
          ids,
        ]);
        assert.deepEqual([...new Set(rows.map(({ stage }) => stage))], ['ready']);
        return read;
      };
      await tell('that it is empty');
      await fill(100);
      await tell('that it is small');
      const few = await released();
      await fill(100_000);
      await tell('as it is');
      const many = await released();
      assert.ok(few >= 8 && few < 100, `${few} rows for 100`);
      assert.ok(many <= few * 1.5, `${many} rows for 100,000, ${few} for 100`);
    });
  }
});

const sent = (delivery: LeasedDelivery): AttemptRecord => ({
  ...{ delivery, outcome: { result: 'sent' }, status: 'sent', nextInMs: null, responseTimeMs: 1 },
  attemptedAt: new Date(),
});
