import assert from 'node:assert/strict';
import { randomInt, randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Database } from '#libs/database';
import { EventLog } from '#libs/events';
import type { LeaseTerms } from '#libs/jobs';
import { EventRelayRepository, type Relayed } from '../../../libs/webhooks/src/event-relay.repository.js';
import { aRoom, aTenant, aUser, startApi, type TestApi, type TestTenant } from '../../support/api.js';
import { inParallel } from '../../support/concurrency.js';
import { anOwnDatabase, type OwnDatabase } from '../../support/own-database.js';
import { aWebhook } from '../../support/webhooks.js';

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
    let broken = 0;
    const relaying = relays.map(async (database) => {
      const relay = new EventRelayRepository(database);
      while (running) {
        // An answer that is lost says nothing: what it committed shows in the table.
        await relay.relay(randomInt(1, 40)).then(
          (pass) => (taken += pass.taken),
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
      }
    })();
    await inParallel(Array.from({ length: FACTS / 3 }), 8, (_, i) => change(rooms[i % 3]!, 3));
    for (;;) {
      const [row] = await api.database.query<{ n: number }>(
        'SELECT count(*) AS n FROM events WHERE relayed_at IS NULL',
      );
      if (row!.n === 0) break;
      await delay(5);
    }
    running = false;
    await Promise.all([...relaying, killing]);
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
    assert.ok(age >= 0 && age < 120_000, `ids say when they were made: ${age}`);
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

  /** Facts of a tenant, as of changes to nothing in particular. */
  const facts = (clientId: string, amount: number): Promise<unknown> =>
    api.database.query(
      `INSERT INTO events (client_id, id, event, data, created_at)
       SELECT $1, gen_random_uuid(), 'user.created', '{}', now() FROM generate_series(1, $2)`,
      [clientId, amount],
    );
  const counts = ({ taken, added, leased }: Relayed) => ({ taken, added, leased: leased.length });

  it('gives each tenant its share of a pass, so that a flood of one does not hold up another', async () => {
    const relay = new EventRelayRepository(api.database);
    const [loud, quiet] = [await aTenant(api), await aTenant(api)];
    for (const one of [loud, quiet]) await aWebhook(one, { events: ['user.created'] });
    await facts(loud.id, 500);
    await facts(quiet.id, 2);
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

  describe('with room for deliveries', () => {
    const relay = () => new EventRelayRepository(api.database);
    const terms = (fields: Partial<LeaseTerms> = {}) => ({
      room: 100,
      tenantLimit: 100,
      leaseMarginMs: 10_000,
      busy: new Map<string, number>(),
      ended: [],
      own: [],
      ahead: new Map<string, number>(),
      laneConcurrency: 3,
      timeoutMs: 15_000,
      ...fields,
    });
    const stages = (clientId: string) =>
      api.database.query<{ stage: string; status: string; n: number }>(
        `SELECT stage, status, count(*) AS n FROM deliveries WHERE client_id = $1 GROUP BY 1, 2 ORDER BY 1`,
        [clientId],
      );

    it('leases as many of a lane as may be attempted at once, and leaves the rest to claims', async () => {
      const one = await aTenant(api);
      await aWebhook(one, { events: ['user.created'] });
      await facts(one.id, 5);
      const pass = await relay().relay(100, undefined, terms());
      assert.deepEqual(counts(pass), { taken: 5, added: 5, leased: 3 });
      assert.deepEqual(await stages(one.id), [
        { stage: 'leased', status: 'processing', n: 3 },
        { stage: 'ready', status: 'pending', n: 2 },
      ]);
      for (const { leaseUntil, createdAt, attempt, step } of pass.leased) {
        assert.equal(leaseUntil.getTime() - createdAt.getTime(), 25_000);
        assert.deepEqual([attempt, step], [1, 1]);
      }
      await facts(one.id, 1);
      const own = pass.leased.map(({ id }) => id);
      const behind = await relay().relay(100, undefined, { ...terms({ own }), laneConcurrency: 50 });
      assert.deepEqual(counts(behind), { taken: 1, added: 1, leased: 0 }, 'others wait there already');
    });

    it('leases ahead of a fast lane only while no other process has leases there', async () => {
      const one = await aTenant(api);
      const webhook = await aWebhook(one, { events: ['user.created'] });
      const ahead = new Map([[`${one.id} ${webhook.id}`, 20]]);
      await facts(one.id, 8);
      const first = await relay().relay(100, undefined, terms({ ahead }));
      assert.equal(first.leased.length, 8);
      await facts(one.id, 8);
      assert.equal((await relay().relay(100, undefined, terms({ ahead }))).leased.length, 0, 'as another process');
      await api.database.query(`DELETE FROM deliveries WHERE stage = 'ready' AND client_id = $1`, [one.id]);
      await facts(one.id, 20);
      const own = first.leased.map(({ id }) => id);
      assert.equal((await relay().relay(100, undefined, terms({ ahead, own }))).leased.length, 12);
    });

    it('keeps to the room of the process and of the tenant, and leases nothing that must keep an order', async () => {
      const [one, two, ordered] = [await aTenant(api), await aTenant(api), await aTenant(api)];
      for (const each of [one, two]) await aWebhook(each, { events: ['user.created'] });
      await facts(one.id, 3);
      await facts(two.id, 3);
      const busy = new Map([[one.id, 99]]);
      const pass = await relay().relay(100, undefined, terms({ room: 3, busy }));
      const leasedOf = (id: string) => pass.leased.filter(({ clientId }) => clientId === id).length;
      assert.deepEqual([leasedOf(one.id), leasedOf(two.id)], [1, 2]);
      await aWebhook(ordered, { events: ['room.*'], ordered: true });
      const room = await aRoom(ordered, await aUser(ordered));
      while ((await relay().relay()).taken > 0);
      await api.database.query(
        `INSERT INTO events (client_id, id, event, room_id, data, created_at)
         VALUES ($1, gen_random_uuid(), 'room.updated', $2, '{}', now())`,
        [ordered.id, room],
      );
      assert.deepEqual(counts(await relay().relay(100, undefined, terms())), { taken: 1, added: 1, leased: 0 });
    });
  });

  /** Rows that a statement reads. */
  const rowsReadOn = async (database: Database, sql: string, params: unknown[]): Promise<number> => {
    const [row] = await database.run(async (tx) => {
      await tx.query(sql, params);
      return tx.query<{ n: number }>('SELECT sum(idx_tup_fetch + seq_tup_read) AS n FROM pg_stat_xact_user_tables');
    });
    return Number(row!.n);
  };

  /** The same on a session that plans anew. */
  const rowsRead = async (sql: string, params: unknown[]): Promise<number> => {
    const database = new Database(own.url, { max: 1 });
    try {
      return await rowsReadOn(database, sql, params);
    } finally {
      await database.close();
    }
  };

  it('reads no more rows for a pass with thousands waiting than with a few', async () => {
    while ((await new EventRelayRepository(api.database).relay()).taken > 0);
    const one = await aTenant(api);
    await aWebhook(one, { events: ['user.created'] });
    const pass = () =>
      rowsRead(
        `SELECT relay_events('webhook.event', 50, $1, 100, 100, 10, 25000, '{}', '{}', '{}', '{}', '{}', '{}')`,
        ['00000000-0000-0000-0000-000000000000'],
      );
    await facts(one.id, 50);
    const few = await pass();
    for (const waiting of [3_000, 30_000]) {
      await facts(one.id, waiting);
      const many = await pass();
      assert.ok(many < few * 2, `${many} rows for ${waiting}, ${few} for 50`);
    }
    await api.database.query('DELETE FROM events WHERE client_id = $1', [one.id]);
  });

  it('costs a send to a subscribed tenant no more rows with thousands of messages than with a few', async () => {
    const one = await aTenant(api);
    await aWebhook(one, { events: ['message.created'] });
    const owner = await aUser(one);
    const room = await aRoom(one, owner);
    // The session of a message writer: its plans are as old as it is.
    const kept = new Database(own.url, { max: 1 });
    const log = async (read: (sql: string, params: unknown[]) => Promise<number>): Promise<number> => {
      const stored = 'SELECT id FROM messages WHERE client_id = $1 ORDER BY id LIMIT 20';
      const ids = (await api.database.query<{ id: string }>(stored, [one.id])).map(({ id }) => id);
      await api.database.query('DELETE FROM events WHERE client_id = $1', [one.id]);
      return read(`SELECT log_sends(ARRAY[$1]::uuid[], $2, '{}')`, [one.id, ids]);
    };
    const onKept = (sql: string, params: unknown[]) => rowsReadOn(kept, sql, params);
    const fill = (amount: number) =>
      api.database.query(
        `INSERT INTO messages (client_id, id, room_id, seq, change_seq, sender_id, content, message_type, meta, created_at, updated_at)
         SELECT $1, gen_random_uuid(), $2, n, n, $3, 'Hello', 'text', '{}', now(), now()
         FROM generate_series((SELECT coalesce(max(seq), 0) + 1 FROM messages WHERE room_id = $2), $4) AS n`,
        [one.id, room, owner.id, amount],
      );
    await fill(20);
    let few = 0;
    // Often enough for PostgreSQL to plan once for all.
    for (let i = 0; i < 8; i++) few = await log(onKept);
    for (const amount of [3_000, 30_000]) {
      await fill(amount);
      for (const read of [rowsRead, onKept]) {
        const many = await log(read);
        assert.ok(many < few * 2, `${many} rows for ${amount}, ${few} for 20`);
      }
    }
    await kept.close();
    await api.database.query('DELETE FROM events WHERE client_id = $1', [one.id]);
  });

  it('marks what nobody hears of, so that it does not come up again', async () => {
    const stranger = await aTenant(api);
    await api.database.query(
      `INSERT INTO events (client_id, id, event, data, created_at) VALUES ($1, $2, 'user.created', '{}', now())`,
      [stranger.id, randomUUID()],
    );
    const relay = new EventRelayRepository(api.database);
    assert.deepEqual(counts(await relay.relay()), { taken: 1, added: 0, leased: 0 });
    assert.deepEqual(counts(await relay.relay()), { taken: 0, added: 0, leased: 0 });
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
