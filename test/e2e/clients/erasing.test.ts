import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { newId } from '#libs/common';
import { Database, type Tx } from '#libs/database';
import { Deliveries, type NewDelivery } from '#libs/jobs';
import { ClientsRepository } from '../../../libs/clients/src/clients.repository.js';
import { DeliveriesRepository, type AttemptRecord } from '../../../libs/jobs/src/deliveries.repository.js';
import { RoomsRepository } from '../../../libs/rooms/src/rooms.repository.js';
import { EventRelayRepository } from '../../../libs/webhooks/src/event-relay.repository.js';
import { until } from '../../support/concurrency.js';
import { anOwnDatabase, type OwnDatabase } from '../../support/own-database.js';

const NAME = 'To be erased';

describe('Erasing a client while its deliveries go on', () => {
  let own: OwnDatabase;
  let database: Database;
  let client: string;
  before(async () => {
    own = await anOwnDatabase();
    database = new Database(own.url);
  });
  after(async () => {
    await database.close();
    await own.drop();
  });

  const aClient = async (): Promise<string> => {
    const id = newId();
    await database.query('INSERT INTO clients (id, name, created_at, updated_at) VALUES ($1, $2, now(), now())', [
      id,
      NAME,
    ]);
    return id;
  };
  beforeEach(async () => void (client = await aClient()));

  const erase = (tx: Tx): Promise<boolean> => new ClientsRepository(database).erase(tx, client, NAME);

  /** Deliveries leased by hand, the newest first, with their attempts sent. */
  async function attempted(count: number): Promise<AttemptRecord[]> {
    const leaseUntil = new Date(Date.now() + 60_000);
    const added: NewDelivery[] = [];
    for (let n = 0; n < count; n++) {
      const fields = { kind: 'test', sourceId: newId(), lane: 'lane', target: 'x', priority: 'normal' } as const;
      added.push({ id: newId(), clientId: client, ...fields });
    }
    await database.run((tx) => new Deliveries(new DeliveriesRepository(database)).add(tx, added));
    await database.query(`UPDATE deliveries SET stage = 'leased', lease_until = $2 WHERE client_id = $1`, [
      client,
      leaseUntil,
    ]);
    const leased = { orderKey: null, attempt: 1, step: 1, createdAt: new Date(), leaseUntil };
    return added.reverse().map((delivery) => ({
      delivery: { ...delivery, ...leased },
      outcome: { result: 'sent' },
      status: 'sent',
      nextInMs: null,
      responseTimeMs: 1,
      attemptedAt: new Date(),
    }));
  }

  it('waits for the record of its attempts, and neither undoes the other', async () => {
    const records = await attempted(2);
    const runs = { record: 0, erase: 0 };
    const waiting = async (count: number): Promise<void> =>
      until(`${count} wait for a lock`, async () => {
        const rows = await database.query(`SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'
          AND datname = current_database()`);
        return rows.length === count;
      });
    const others: Promise<unknown>[] = [];
    await database.run(async (tx) => {
      await tx.query('SELECT 1 FROM deliveries WHERE id = $1 FOR UPDATE', [records[0]!.delivery.id]);
      others.push(
        database.run((own) => {
          runs.record++;
          return new DeliveriesRepository(database).record(own, records);
        }),
      );
      await waiting(1);
      others.push(
        database.run((own) => {
          runs.erase++;
          return erase(own);
        }),
      );
      await waiting(2);
    });
    const [recorded, erased] = await Promise.all(others);
    assert.equal((recorded as AttemptRecord[]).length, 2);
    assert.equal(erased, true);
    assert.deepEqual(runs, { record: 1, erase: 1 });
  });

  it('holds up no relay of events of others', async () => {
    const other = await aClient();
    for (const id of [client, other]) {
      await database.query(
        `INSERT INTO webhook_endpoints (client_id, id, url, events, room_ids, secret, custom_headers, created_at, updated_at)
         VALUES ($1, $2, 'https://example.com', '{*}', '{}', '', '{}', now(), now())`,
        [id, newId()],
      );
      await database.query(
        `INSERT INTO events (client_id, id, event, data, created_at) VALUES ($1, $2, 'user.created', '{}', now())`,
        [id, newId()],
      );
    }
    await database.run(async (tx) => {
      const query: Tx['query'] = async (sql, params) => {
        if (sql.startsWith('DELETE FROM messages')) {
          const { taken, added } = await new EventRelayRepository(database).relay();
          assert.deepEqual({ taken, added }, { taken: 2, added: 2 });
        }
        return tx.query(sql, params);
      };
      assert.equal(await erase({ ...tx, query }), true);
    });
    assert.deepEqual(await database.query('SELECT client_id FROM events'), [{ client_id: other }]);
  });

  it('may take longer than other statements, and so may erasing a room', async () => {
    await database.query(`CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END'`);
    await database.query('CREATE TRIGGER dawdle AFTER DELETE ON messages EXECUTE FUNCTION dawdle()');
    const hasty = new Database(own.url, { max: 1, statementTimeoutMs: 200 });
    try {
      await hasty.run((tx) => new RoomsRepository(hasty).erase(tx, client, newId()));
      assert.equal(await hasty.run((tx) => new ClientsRepository(hasty).erase(tx, client, NAME)), true);
    } finally {
      await hasty.close();
      await database.query('DROP TRIGGER dawdle ON messages');
    }
  });
});
