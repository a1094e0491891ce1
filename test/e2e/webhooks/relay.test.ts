import assert from 'node:assert/strict';
import { randomInt, randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Database } from '#libs/database';
import { EventLog } from '#libs/events';
import { EventRelayRepository } from '../../../libs/webhooks/src/event-relay.repository.js';
import { aRoom, aTenant, aUser, startApi, type TestApi, type TestTenant } from '../../support/api.js';
import { inParallel, until } from '../../support/concurrency.js';
import { anOwnDatabase, type OwnDatabase } from '../../support/own-database.js';
import { aWebhook, inNumbers, someFacts } from '../../support/webhooks.js';

describe('The relay', () => {
  let own: OwnDatabase;
  let api: TestApi;
  let tenant: TestTenant;
  let rooms: string[];
  const events = new EventLog();
  before(async () => {
    own = await anOwnDatabase();
    api = await startApi({}, own.url);
    tenant = await aTenant(api);
    const owner = await aUser(tenant);
    rooms = [await aRoom(tenant, owner), await aRoom(tenant, owner), await aRoom(tenant, owner)];
  });
  after(async () => {
    await api.stop();
    await own.drop();
  });

  /** A change of a room, as every one is made: its facts are logged under the lock of the counters. */
  const change = (room: string, facts: number): Promise<void> =>
    api.database.run(async (tx) => {
      await delay(randomInt(3));
      const [row] = await tx.query<{ seq: number }>(
        'UPDATE room_counters SET seq = seq + $2 WHERE room_id = $1 RETURNING seq - $2 AS seq',
        [room, facts],
      );
      for (let i = 1; i <= facts; i++) {
        const data = { n: row!.seq + i };
        await events.add(tx, { clientId: tenant.id, event: 'room.updated', roomId: room, data });
      }
      await delay(randomInt(3));
    });

  interface Made {
    lane: string;
    id: string;
    room_id: string;
    n: number;
    order_key: string | null;
  }

  const made = (): Promise<Made[]> =>
    api.database.query<Made>(
      `SELECT d.lane, d.id, e.room_id, (e.data->>'n')::integer AS n, d.order_key FROM deliveries d
       JOIN events e ON e.client_id = d.client_id AND e.id = d.source_id WHERE d.client_id = $1 ORDER BY d.id`,
      [tenant.id],
    );

  it('makes each delivery once and keeps the order of each room, with several at once and some of them killed', async () => {
    const webhooks = [await aWebhook(tenant, { ordered: true }), await aWebhook(tenant, { events: ['room.*'] })];
    const FACTS = 630;
    let running = true;
    const relays = Array.from({ length: 4 }, () => new Database(own.url, { max: 1, onError: () => undefined }));
    let taken = 0;
    let passes = 0;
    let broken = 0;
    const relaying = relays.map(async (database) => {
      const relay = new EventRelayRepository(database);
      while (running) {
        // An answer that is lost says nothing: what it committed shows in the table.
        await relay.relay(randomInt(1, 40)).then(
          (pass) => ((taken += pass.taken), passes++),
          () => broken++,
        );
        await delay(randomInt(2));
      }
      await database.close();
    });
    const killing = (async () => {
      while (running) {
        await delay(randomInt(30));
        await api.database.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()
             AND query LIKE '%relay_events%' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1`,
        );
        // Some get through between two kills, however slow the machine.
        const before = passes;
        while (running && passes < before + 2) await delay(1);
      }
    })();
    try {
      await inParallel(Array.from({ length: FACTS / 3 }), 8, (_, i) => change(rooms[i % 3]!, 3));
      await until('all is relayed', async () => {
        const sql = 'SELECT count(*) AS n FROM events WHERE relayed_at IS NULL';
        return (await api.database.query<{ n: number }>(sql))[0]!.n === 0;
      });
    } finally {
      running = false;
      await Promise.all([...relaying, killing]);
    }
    assert.ok(broken > 0, 'some were killed');
    assert.ok(taken <= FACTS, 'no fact was taken twice');

    const deliveries = await made();
    assert.equal(deliveries.length, FACTS * webhooks.length);
    for (const { id } of webhooks) {
      for (const room of rooms) {
        const order = deliveries.filter((one) => one.lane === id && one.room_id === room).map((one) => one.n);
        assert.deepEqual(
          order,
          Array.from({ length: FACTS / 3 }, (_, i) => i + 2),
        );
      }
    }
    const keyed = deliveries.filter((one) => one.order_key !== null);
    assert.ok(keyed.every((one) => one.lane === webhooks[0]!.id && one.order_key === one.room_id));
    assert.equal(keyed.length, FACTS);
    assert.ok(
      deliveries.every((one) => one.id[14] === '7' && /[89ab]/.test(one.id[19]!)),
      'ids are UUIDv7',
    );
    const age = Date.now() - Number.parseInt(deliveries[0]!.id.replaceAll('-', '').slice(0, 12), 16);
    assert.ok(age >= 0 && age < 600_000, `ids say when they were made: ${age}`);
  });

  it('passes over what another relay has in hand, and leaves the later facts of those rooms to it', async () => {
    const [held, free] = [rooms[0]!, rooms[1]!];
    const relay = new EventRelayRepository(api.database);
    while ((await relay.relay()).taken > 0);
    await change(held, 1);
    const other = new Database(own.url, { max: 1 });
    await other.run(async (tx) => {
      await tx.query('SELECT 1 FROM events WHERE relayed_at IS NULL FOR UPDATE');
      await change(free, 1);
      await change(held, 1);
      await change(free, 1);
      assert.equal((await relay.relay()).taken, 2, 'those of the free room');
      assert.equal((await relay.relay()).taken, 0);
    });
    await other.close();
    assert.equal((await relay.relay()).taken, 2);
  });

  it('gives each tenant its share of a pass, so that a flood of one does not hold up another', async () => {
    const relay = new EventRelayRepository(api.database);
    const [loud, quiet] = [await aTenant(api), await aTenant(api)];
    for (const one of [loud, quiet]) await aWebhook(one, { events: ['user.created'] });
    await someFacts(api.database, loud.id, 500);
    await someFacts(api.database, quiet.id, 2);
    const first = await relay.relay(10);
    assert.equal(first.taken, 7, 'half of the pass, and the two');
    assert.ok(first.more);
    const next = await relay.relay(10, loud.id);
    assert.equal(next.taken, 10, 'alone it has all of it');
    let pass = next;
    while (pass.more) pass = await relay.relay();
    const [row] = await api.database.query<{ n: number }>('SELECT count(*) AS n FROM deliveries WHERE client_id = $1', [
      loud.id,
    ]);
    assert.equal(row!.n, 500);
  });

  it('marks what nobody hears of, so that it does not come up again', async () => {
    const stranger = await aTenant(api);
    await api.database.query(
      `INSERT INTO events (client_id, id, event, data, created_at) VALUES ($1, $2, 'user.created', '{}', now())`,
      [stranger.id, randomUUID()],
    );
    const relay = new EventRelayRepository(api.database);
    assert.deepEqual(inNumbers(await relay.relay()), { taken: 1, added: 0, leased: 0 });
    assert.deepEqual(inNumbers(await relay.relay()), { taken: 0, added: 0, leased: 0 });
  });

  it('forgets after 30 days what has ended, and nothing else', async () => {
    const relay = new EventRelayRepository(api.database);
    const idAt = (daysAgo: number) => {
      const ms = (Date.now() - daysAgo * 86_400_000).toString(16).padStart(12, '0');
      return `${ms.slice(0, 8)}-${ms.slice(8)}-7${randomUUID().slice(15)}`;
    };
    const insert = async (daysAgo: number, ended: boolean): Promise<string> => {
      const [event, delivery] = [idAt(daysAgo), idAt(daysAgo)];
      await api.database.query(
        `INSERT INTO events (client_id, id, event, data, created_at, relayed_at)
         VALUES ($1, $2, 'user.created', '{}', now(), now())`,
        [tenant.id, event],
      );
      await api.database.query(
        `INSERT INTO deliveries (client_id, id, kind, source_id, lane, target, priority, status, stage, next_attempt_at,
           created_at, updated_at)
         VALUES ($1, $2, 'webhook.event', $3, 'x', 'x', 2, $4, $5, $6, now(), now())`,
        [
          tenant.id,
          delivery,
          event,
          ended ? 'sent' : 'retrying',
          ended ? null : 'waiting',
          ended ? null : new Date(Date.now() + 3_600_000),
        ],
      );
      return delivery;
    };
    const [old, recent, waiting] = [await insert(31, true), await insert(29, true), await insert(31, false)];
    const before = (await made()).length;
    while ((await relay.forget()) > 0);
    const left = new Set((await made()).map((one) => one.id));
    assert.deepEqual([left.has(old), left.has(recent), left.has(waiting)], [false, true, true]);
    assert.equal(left.size, before - 1);
    const [row] = await api.database.query<{ n: number }>(
      `SELECT count(*) AS n FROM events e WHERE NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.source_id = e.id)
         AND e.client_id = $1`,
      [tenant.id],
    );
    assert.equal(row!.n, 0);
  });
});
