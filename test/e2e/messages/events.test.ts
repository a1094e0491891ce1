import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { EventLog } from '#libs/events';
import { aRoom, aTenant, aUser, startApi, type TestApi } from '../../support/api.js';

interface Logged {
  id: string;
  event: string;
  room_id: string;
  data: Record<string, unknown>;
}

describe('Facts of sends', () => {
  let api: TestApi;
  let committed = 0;

  before(async () => {
    api = await startApi();
    api.app.get(EventLog).onCommitted(() => committed++);
  });
  after(() => api.stop());

  /** An endpoint that subscribes with these patterns. */
  async function subscribe(clientId: string, patterns: string[], active = true): Promise<void> {
    await api.database.query(
      `INSERT INTO webhook_endpoints (client_id, id, url, events, is_active, secret, created_at, updated_at)
       VALUES ($1, $2, 'https://example.com/', $3, $4, '', now(), now())`,
      [clientId, randomUUID(), patterns, active],
    );
  }

  function logged(clientId: string, ...events: string[]): Promise<Logged[]> {
    return api.database.query<Logged & Record<string, unknown>>(
      'SELECT id, event, room_id, data FROM events WHERE client_id = $1 AND event = ANY ($2) ORDER BY id',
      [clientId, events],
    );
  }

  async function send(key: string, room_id: string, fields: object = {}) {
    const reply = await api.call('POST', '/messages', { key, body: { room_id, content: 'hello', ...fields } });
    assert.equal(reply.status, 201, reply.text);
    return reply.body.data;
  }

  const message = async (key: string, id: string): Promise<unknown> =>
    (await api.call('GET', `/messages/${id}`, { key })).body.data;

  for (const pattern of ['message.created', 'message.*', '*']) {
    it(`a send is logged as GET shows it, for ${pattern}`, async () => {
      const tenant = await aTenant(api);
      await subscribe(tenant.id, [pattern]);
      const user = await aUser(tenant);
      const room = await aRoom(tenant, user);
      const before = committed;
      const meta = { b: [1, { ü: '\u2028"\\' }], a: null };
      const sent = await send(user.key, room, { content: 'héllo 👋\n"x"', meta, client_message_id: 'c-1' });
      const events = await logged(tenant.id, 'message.created');
      assert.equal(events.length, 1);
      assert.equal(events[0]!.room_id, room);
      assert.deepEqual(events[0]!.data, await message(user.key, sent.id));
      assert.deepEqual(Object.keys(events[0]!.data), Object.keys(sent), 'in the order of the contract');
      assert.ok(committed > before, 'the relay was told');
    });
  }

  it('every send of a batch is logged once, of subscribed tenants only, those refused and resent not at all', async () => {
    const told = await aTenant(api);
    const untold = await aTenant(api);
    const elsewhere = await aTenant(api);
    const switchedOff = await aTenant(api);
    await subscribe(told.id, ['user.created', 'message.created']);
    await subscribe(elsewhere.id, ['user.*', 'message.updated']);
    await subscribe(switchedOff.id, ['*'], false);
    const tenants = await Promise.all(
      [told, untold, elsewhere, switchedOff].map(async (tenant) => {
        const owner = await aUser(tenant);
        const room = await aRoom(tenant, owner);
        const { id: first } = await send(owner.key, room);
        return { keys: [tenant.key, owner.key], id: tenant.id, room, first };
      }),
    );
    await api.database.query('DELETE FROM events WHERE client_id = $1', [told.id]);
    const sends = Array.from({ length: 120 }, (_, n) => tenants[n % 4]!).map(({ keys, room, first }, n) =>
      api.call('POST', '/messages', {
        key: keys[(n >> 3) % 2],
        body: {
          ...{ room_id: room, content: `${n} ü "\\`, client_message_id: `c-${n >> 3}`, meta: { b: [n], a: null } },
          ...(n % 3 === 0 && { reply_to: first }),
        },
      }),
    );
    sends.push(api.call('POST', '/messages', { key: told.key, body: { room_id: randomUUID(), content: 'no room' } }));
    const answers = await Promise.all(sends);
    assert.equal(answers.filter(({ status }) => status === 201).length, 60);
    assert.equal(answers.filter(({ status }) => status === 200).length, 60);
    const events = await logged(told.id, 'message.created');
    const ids = answers.filter((_, n) => n % 4 === 0 && n < 120).map(({ body }) => body.data.id as string);
    assert.deepEqual(events.map(({ data }) => data['id']).sort(), [...new Set(ids)].sort());
    for (const { data } of events) assert.deepEqual(data, await message(told.key, data['id'] as string));
    for (const { id } of tenants.slice(1)) assert.deepEqual(await logged(id, 'message.created'), []);
  });

  it('a send with an Idempotency-Key is logged with it, its replay is not', async () => {
    const tenant = await aTenant(api);
    await subscribe(tenant.id, ['message.*']);
    const room = await aRoom(tenant, await aUser(tenant));
    const body = { room_id: room, content: 'once' };
    const headers = { 'idempotency-key': randomUUID() };
    const before = committed;
    for (let time = 0; time < 2; time++) {
      assert.equal((await api.call('POST', '/messages', { key: tenant.key, body, headers })).status, 201);
    }
    assert.equal((await logged(tenant.id, 'message.created')).length, 1);
    assert.ok(committed > before, 'the relay was told');
  });

  it('tells nobody where nobody subscribes', async () => {
    const tenant = await aTenant(api);
    const room = await aRoom(tenant, await aUser(tenant));
    const before = committed;
    await send(tenant.key, room);
    assert.equal(committed, before);
  });

  for (const lone of [true, false]) {
    it(`a message that revives a quiet room is told as room.updated too (${lone ? 'alone' : 'in a batch'})`, async () => {
      const tenant = await aTenant(api);
      await subscribe(tenant.id, ['room.updated', 'message.created']);
      const user = await aUser(tenant);
      const quiet = await aRoom(tenant, user, { meta: { a: 1 }, description: 'd' });
      const awake = await aRoom(tenant, user);
      await api.database.query(
        `UPDATE rooms SET is_active = false, deactivated_reason = 'inactive' WHERE client_id = $1 AND id = $2`,
        [tenant.id, quiet],
      );
      const rooms = lone ? [quiet] : [awake, quiet, awake, quiet, quiet];
      await Promise.all(rooms.map((room) => send(tenant.key, room)));
      const seen = (await api.call('GET', `/rooms/${quiet}`, { key: tenant.key })).body.data;
      const updated = await logged(tenant.id, 'room.updated');
      assert.equal(updated.length, 1);
      const { data, room_id } = updated[0]!;
      assert.equal(room_id, quiet);
      assert.equal(data['is_active'], true);
      assert.deepEqual(Object.keys(data), Object.keys(seen), 'in the order of the contract');
      // Later sends of the batch may have counted on.
      const counted = { seq: 0, message_count: 0, last_message_at: '' };
      assert.deepEqual({ ...data, ...counted }, { ...seen, ...counted });
      if (lone) assert.deepEqual(data, seen);
      const [first] = (await logged(tenant.id, 'message.created')).filter((event) => event.room_id === quiet);
      assert.ok(updated[0]!.id < first!.id, 'the room before its message');
    });
  }
});
