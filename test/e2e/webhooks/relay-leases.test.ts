import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { LeaseTerms } from '#libs/jobs';
import { EventRelayRepository } from '../../../libs/webhooks/src/event-relay.repository.js';
import { aRoom, aTenant, aUser, startApi, type TestApi } from '../../support/api.js';
import { anOwnDatabase, type OwnDatabase } from '../../support/own-database.js';
import { aWebhook, inNumbers, someFacts } from '../../support/webhooks.js';

describe('The relay of a process with room for deliveries', () => {
  let own: OwnDatabase;
  let api: TestApi;
  before(async () => {
    own = await anOwnDatabase();
    api = await startApi({}, own.url);
  });
  after(async () => {
    await api.stop();
    await own.drop();
  });

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
    await someFacts(api.database, one.id, 5);
    const pass = await relay().relay(100, undefined, terms());
    assert.deepEqual(inNumbers(pass), { taken: 5, added: 5, leased: 3 });
    assert.deepEqual(await stages(one.id), [
      { stage: 'leased', status: 'processing', n: 3 },
      { stage: 'ready', status: 'pending', n: 2 },
    ]);
    for (const { leaseUntil, createdAt, attempt, step } of pass.leased) {
      assert.equal(leaseUntil.getTime() - createdAt.getTime(), 25_000);
      assert.deepEqual([attempt, step], [1, 1]);
    }
    await someFacts(api.database, one.id, 1);
    const own = pass.leased.map(({ id }) => id);
    const behind = await relay().relay(100, undefined, { ...terms({ own }), laneConcurrency: 50 });
    assert.deepEqual(inNumbers(behind), { taken: 1, added: 1, leased: 0 }, 'others wait there already');
  });

  it('leases ahead of a fast lane only while no other process has leases there', async () => {
    const one = await aTenant(api);
    const webhook = await aWebhook(one, { events: ['user.created'] });
    const ahead = new Map([[`${one.id} ${webhook.id}`, 20]]);
    await someFacts(api.database, one.id, 8);
    const first = await relay().relay(100, undefined, terms({ ahead }));
    assert.equal(first.leased.length, 8);
    await someFacts(api.database, one.id, 8);
    assert.equal((await relay().relay(100, undefined, terms({ ahead }))).leased.length, 0, 'as another process');
    await api.database.query(`DELETE FROM deliveries WHERE stage = 'ready' AND client_id = $1`, [one.id]);
    await someFacts(api.database, one.id, 20);
    const own = first.leased.map(({ id }) => id);
    assert.equal((await relay().relay(100, undefined, terms({ ahead, own }))).leased.length, 12);
  });

  it('keeps to the room of the process and of the tenant, and leases nothing that must keep an order', async () => {
    const [one, two, ordered] = [await aTenant(api), await aTenant(api), await aTenant(api)];
    for (const each of [one, two]) await aWebhook(each, { events: ['user.created'] });
    await someFacts(api.database, one.id, 3);
    await someFacts(api.database, two.id, 3);
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
    assert.deepEqual(inNumbers(await relay().relay(100, undefined, terms())), { taken: 1, added: 1, leased: 0 });
  });
});
