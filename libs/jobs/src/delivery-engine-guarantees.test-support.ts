import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { newId } from '#libs/common';
import { inParallel, until } from '../../../test/support/concurrency.js';
import type { DeliveriesRepository } from './deliveries.repository.js';
import {
  aClient,
  aDelivery,
  aHandler,
  aWorker,
  type RecordingHandler,
  type Worker,
  type WorkerParts,
} from './delivery-engine.test-support.js';
import type { AttemptOutcome, ClaimedDelivery, DeliveryHandler, NewDelivery } from './delivery.js';

/** One engine to be proven: what it is made of, and where. */
export interface Subject {
  url: string;
  parts: WorkerParts;
  /** Longest a guarantee may take to show. */
  patienceMs: number;
}

/** What an engine must keep, whatever wakes it. */
export interface Guarantee {
  name: string;
  check: (stage: Stage) => Promise<void>;
}

type Attempt = (delivery: ClaimedDelivery, signal: AbortSignal) => Promise<AttemptOutcome> | AttemptOutcome;

/** Workers on one database with a kind of their own; all are stopped at the end. */
class Stage {
  readonly kind = `k-${randomUUID().slice(0, 8)}`;
  private readonly workers: Worker[] = [];

  constructor(private readonly subject: Subject) {}

  handler(fields: Partial<DeliveryHandler> = {}, attempt?: Attempt): RecordingHandler {
    return aHandler({ kind: this.kind, ...fields }, attempt);
  }

  async worker(handler?: RecordingHandler, parts: WorkerParts = {}): Promise<Worker> {
    const settings = { leaseMarginMs: 1_500, ...parts.settings };
    const worker = await aWorker(this.subject.url, handler ? [handler] : [], {
      jobs: handler !== undefined,
      ...this.subject.parts,
      ...parts,
      settings,
    });
    this.workers.push(worker);
    return worker;
  }

  delivery(clientId: string, fields: Partial<NewDelivery> = {}): NewDelivery {
    return aDelivery(clientId, { kind: this.kind, ...fields });
  }

  async add(worker: Worker, deliveries: NewDelivery[]): Promise<void> {
    await worker.database.run((tx) => worker.deliveries.add(tx, deliveries));
  }

  until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
    return until(what, async () => (await condition()) || (await delay(5), false), this.subject.patienceMs);
  }

  /** Waits until every delivery has ended; answers how, in their order. */
  async ends(worker: Worker, deliveries: NewDelivery[]): Promise<string[]> {
    const ids = deliveries.map(({ id }) => id);
    const read = () =>
      worker.database.query<{ id: string; status: string; finished_at: Date | null }>(
        'SELECT id, status, finished_at FROM deliveries WHERE id = ANY ($1) ORDER BY array_position($1, id)',
        [ids],
      );
    await this.until('every delivery has ended', async () => (await read()).every((row) => row.finished_at !== null));
    return (await read()).map((row) => row.status);
  }

  async stop(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker.stop()));
  }
}

/** Runs one guarantee on an engine. */
export async function prove({ check }: Guarantee, subject: Subject): Promise<void> {
  const stage = new Stage(subject);
  try {
    await check(stage);
  } finally {
    await stage.stop();
  }
}

function timesByTarget(handlers: RecordingHandler[]): Map<string, number> {
  const times = new Map<string, number>();
  for (const { target } of handlers.flatMap((h) => h.attempts)) times.set(target, (times.get(target) ?? 0) + 1);
  return times;
}

/** Claims as a process would that dies before it records anything. */
async function claimAndDie(worker: Worker, handler: DeliveryHandler, leaseMs: number) {
  const repository = (worker.engine as unknown as { repository: DeliveriesRepository }).repository;
  return repository.claim({
    handlers: [{ ...handler, timeoutMs: leaseMs }],
    room: 100,
    tenantLimit: 100,
    leaseMarginMs: 0,
    turn: 0,
    after: newId(0),
    cursors: new Map(),
    busy: new Map(),
    ended: [],
    own: [],
    ahead: new Map(),
  });
}

/** The suite that every engine has to pass, and every broken one has to fail. */
export const GUARANTEES: Guarantee[] = [
  {
    name: 'attempts each delivery once, however many processes look for it',
    check: async (stage) => {
      const handlers = [stage.handler({ laneConcurrency: 50 }), stage.handler({ laneConcurrency: 50 })];
      const workers = await Promise.all(handlers.map((h) => stage.worker(h)));
      const clients = await Promise.all([1, 2, 3].map(() => aClient(workers[0]!.database)));
      const added = Array.from({ length: 300 }, (_, i) => stage.delivery(clients[i % 3]!, { lane: `l${i % 5}` }));
      await inParallel(
        Array.from({ length: 30 }, (_, i) => added.slice(i * 10, i * 10 + 10)),
        4,
        (batch, i) => stage.add(workers[i % 2]!, batch),
      );
      assert.deepEqual(new Set(await stage.ends(workers[0]!, added)), new Set(['sent']));
      const times = timesByTarget(handlers);
      assert.equal(times.size, 300);
      assert.deepEqual(
        [...times.values()].filter((n) => n !== 1),
        [],
      );
    },
  },
  {
    name: 'tries again what may pass, by the schedule, and gives up in the end; what never will fails at once',
    check: async (stage) => {
      const handler = stage.handler({ policy: { scheduleSeconds: [0, 0, 0], jitter: 0.1 } }, (d) => {
        if (d.target === 'good' || (d.target === 'later' && d.attempt === 3))
          return { result: 'sent', providerName: 'p' };
        return { result: d.target === 'bad' ? 'failed' : 'retry', errorCode: 'NOPE', error: 'no', statusCode: 500 };
      });
      const worker = await stage.worker(handler);
      const client = await aClient(worker.database);
      const added = ['good', 'later', 'bad', 'never'].map((target) => stage.delivery(client, { target }));
      await stage.add(worker, added);
      assert.deepEqual(await stage.ends(worker, added), ['sent', 'sent', 'failed', 'failed']);
      const found = await Promise.all(added.map((d) => worker.log.ofSource(client, d.sourceId)));
      assert.deepEqual(
        found.map(([d]) => d!.attempts.map((a) => `${a.attemptNumber} ${a.status} ${a.errorCode}`)),
        [
          ['1 sent null'],
          ['1 failed NOPE', '2 failed NOPE', '3 sent null'],
          ['1 failed NOPE'],
          ['1 failed NOPE', '2 failed NOPE', '3 failed NOPE', '4 failed NOPE'],
        ],
      );
    },
  },
  {
    name: 'ends what nobody wants any more as cancelled, without an attempt',
    check: async (stage) => {
      const handler = stage.handler({}, () => ({ result: 'cancelled', errorCode: 'NOT_WANTED' }));
      const worker = await stage.worker(handler);
      const client = await aClient(worker.database);
      const added = stage.delivery(client);
      await stage.add(worker, [added]);
      assert.deepEqual(await stage.ends(worker, [added]), ['cancelled']);
      const [found] = await worker.log.ofSource(client, added.sourceId);
      assert.deepEqual([found!.attemptCount, found!.attempts, found!.errorCode], [0, [], 'NOT_WANTED']);
    },
  },
  {
    name: 'takes a handler that throws for a failure that may pass, and says so',
    check: async (stage) => {
      const handler = stage.handler({}, (d) => {
        if (d.attempt === 1) throw new Error('a defect');
        return { result: 'sent' };
      });
      const worker = await stage.worker(handler);
      const client = await aClient(worker.database);
      const added = stage.delivery(client);
      await stage.add(worker, [added]);
      assert.deepEqual(await stage.ends(worker, [added]), ['sent']);
      const [found] = await worker.log.ofSource(client, added.sourceId);
      assert.deepEqual(
        found!.attempts.map((a) => a.errorCode),
        ['INTERNAL_ERROR', null],
      );
    },
  },
  {
    name: 'leaves what is leased to its owner as long as the lease lasts',
    check: async (stage) => {
      const slow = (): Attempt => async () => {
        await delay(1_200);
        return { result: 'sent' };
      };
      const settings = { lookEveryMs: 50 };
      const handlers = [stage.handler({}, slow()), stage.handler({}, slow())];
      const workers = await Promise.all(handlers.map((h) => stage.worker(h, { settings })));
      const client = await aClient(workers[0]!.database);
      const added = [1, 2, 3].map(() => stage.delivery(client));
      await stage.add(workers[0]!, added);
      await stage.ends(workers[0]!, added);
      assert.deepEqual([...timesByTarget(handlers).values()], [1, 1, 1]);
    },
  },
  {
    name: 'takes over from a process that died, once its lease has run out, and what that process says late does not count',
    check: async (stage) => {
      const handler = stage.handler();
      const adder = await stage.worker();
      const client = await aClient(adder.database);
      const added = stage.delivery(client);
      await stage.add(adder, [added]);
      const { deliveries } = await claimAndDie(adder, handler, 700);
      assert.deepEqual(
        deliveries.map((d) => d.id),
        [added.id],
      );
      const worker = await stage.worker(handler);
      assert.deepEqual(await stage.ends(worker, [added]), ['sent']);
      const repository = (adder.engine as unknown as { repository: DeliveriesRepository }).repository;
      const late = {
        delivery: deliveries[0]!,
        outcome: { result: 'failed' },
        status: 'failed',
        nextInMs: null,
        responseTimeMs: 1,
        attemptedAt: new Date(),
      } as const;
      assert.deepEqual(await adder.database.run((tx) => repository.record(tx, [late])), []);
      const [found] = await worker.log.ofSource(client, added.sourceId);
      assert.equal(found!.status, 'sent');
      assert.equal(found!.attempts.length, 1);
      assert(found!.attempts[0]!.attemptedAt >= deliveries[0]!.leaseUntil, 'the lease had run out');
    },
  },
  {
    name: 'attempts nothing again that it still has in hand, however long its lease is over',
    check: async (stage) => {
      let release = (): void => undefined;
      const held = new Promise<void>((resolve) => (release = resolve));
      const handler = stage.handler({}, async ({ id }) => {
        if (id === slow.id) await held;
        return { result: 'sent' };
      });
      const worker = await stage.worker(handler);
      const client = await aClient(worker.database);
      const slow = stage.delivery(client);
      await stage.add(worker, [slow]);
      await until('it is attempted', () => handler.attempts.length === 1);
      await worker.database.query('UPDATE deliveries SET next_attempt_at = now() WHERE id = $1', [slow.id]);
      for (let claims = 0; claims < 3; claims++) {
        const other = stage.delivery(client);
        await stage.add(worker, [other]);
        await stage.ends(worker, [other]);
      }
      release();
      assert.deepEqual(await stage.ends(worker, [slow]), ['sent']);
      assert.equal(handler.attempts.filter(({ id }) => id === slow.id).length, 1);
    },
  },
  {
    name: 'wakes a worker when a process without jobs has committed something',
    check: async (stage) => {
      const handler = stage.handler();
      const adder = await stage.worker();
      const worker = await stage.worker(handler, { settings: { lookEveryMs: 3_600_000 } });
      const client = await aClient(adder.database);
      for (let round = 0; round < 5; round++) {
        const added = [stage.delivery(client), stage.delivery(client)];
        await stage.add(adder, added);
        assert.deepEqual(await stage.ends(worker, added), ['sent', 'sent']);
      }
    },
  },
  {
    name: 'finishes what runs when it is stopped, and begins nothing new',
    check: async (stage) => {
      let release = (): void => undefined;
      const held = new Promise<void>((resolve) => (release = resolve));
      const handler = stage.handler({ laneConcurrency: 1 }, async () => {
        await held;
        return { result: 'sent' };
      });
      const worker = await stage.worker(handler);
      const reader = await stage.worker();
      const client = await aClient(worker.database);
      const added = [stage.delivery(client), stage.delivery(client)];
      await stage.add(worker, added);
      await stage.until('it runs', () => handler.attempts.length === 1);
      const stopped = worker.engine.beforeApplicationShutdown();
      release();
      await stopped;
      const found = await Promise.all(added.map((d) => reader.log.ofSource(client, d.sourceId)));
      assert.deepEqual(found.map(([d]) => d!.status).sort(), ['pending', 'sent']);
      assert.equal(handler.attempts.length, 1);
    },
  },
];
