import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import {
  aMessage,
  aNotification,
  aRoom,
  aTenant,
  aUser,
  startApi,
  type Reply,
  type TestApi,
  type TestTenant,
} from '../support/api.js';
import { fillPath, operationsOf, readDocument, type Json } from '../support/document.js';
import { assertError } from '../support/errors.js';
import { aTestDelivery, aWebhook, PUBLIC_URL } from '../support/webhooks.js';

type Ids = Record<string, string>;

/** What two answers have to have in common: all but when and under which request id. */
function comparable(reply: Reply): string {
  return reply.text.replace(/"(timestamp|request_id)":"[^"]*"/g, '"$1":""');
}

/** Whether a parameter is an id in the path; others, such as a kind of provider, are no one's. */
function isId(parameter: { name: string; in: string }): boolean {
  return parameter.in === 'path' && parameter.name.endsWith('_id');
}

/** One real id of a tenant for every path parameter the API has. */
async function idsOf(tenant: TestTenant): Promise<Ids> {
  const [owner, member] = [await aUser(tenant), await aUser(tenant)];
  const room = await aRoom(tenant, owner, { member_ids: [member.id] });
  const message = await aMessage(tenant, owner, room);
  const key = await tenant.api.call('POST', '/clients/me/keys', { key: tenant.key, body: { scopes: ['users:read'] } });
  const notification = await aNotification(tenant);
  const webhook = await aWebhook(tenant);
  const delivery = await aTestDelivery(tenant, webhook.id);
  return {
    room_id: room,
    user_id: member.id,
    message_id: message.id,
    key_id: key.body.data.id,
    notification_id: notification.id,
    webhook_id: webhook.id,
    delivery_id: delivery,
  };
}

describe("Another tenant's ids answer like ids that never existed", () => {
  let api: TestApi;
  let document: Json;
  let a: TestTenant;
  let own: Ids;
  let foreign: Ids;
  before(async () => {
    api = await startApi();
    document = await readDocument(api);
    const b = await aTenant(api);
    a = await aTenant(api);
    own = await idsOf(a);
    foreign = await idsOf(b);
  });
  after(() => api.stop());

  const assertAlike = async (what: string, ask: (ids: Ids) => Promise<Reply>, real: Ids) => {
    const random = Object.fromEntries(Object.keys(real).map((name) => [name, randomUUID()]));
    const [forReal, forRandom] = [await ask(real), await ask(random)];
    assertError(forReal, 404, 'RESOURCE_NOT_FOUND', what);
    assert.equal(comparable(forReal), comparable(forRandom), what);
    for (const header of ['content-length', 'content-type']) {
      assert.equal(forReal.headers.get(header), forRandom.headers.get(header), `${what}: ${header}`);
    }
  };

  /** Bodies that are valid but for the foreign ids: the document's example, with own ids where it names any. */
  const bodyOf = (name: string): unknown => {
    const bodies: Record<string, unknown> = {
      'POST /rooms/{room_id}/join': { user_id: own['user_id'] },
      'POST /rooms/{room_id}/leave': { user_id: own['user_id'] },
      'POST /rooms/{room_id}/members': { user_ids: [own['user_id']] },
      'PUT /rooms/{room_id}/members/{user_id}': { role: 'admin' },
      'PUT /users/{user_id}': { full_name: 'Changed' },
      'PUT /rooms/{room_id}': { name: 'Changed' },
      'PUT /messages/{message_id}': { content: 'changed' },
      'PUT /webhooks/{webhook_id}': { description: 'Changed' },
      'POST /webhooks/{webhook_id}/test': {},
    };
    const operation = operationsOf(document).find((one) => one.name === name)!;
    return bodies[name] ?? operation.spec.requestBody?.content['application/json'].example;
  };

  // A client key has no read cursor, whatever the room: its 403 comes before the room is looked for.
  const USER_KEY_ONLY = ['POST /rooms/{room_id}/read'];

  it('in every path parameter of every operation, one by one and all at once', async () => {
    const withIds = operationsOf(document).filter(({ parameters }) => parameters.some(isId));
    assert.ok(withIds.length >= 15);
    const user = await aUser(a);
    for (const { name, method, path, parameters } of withIds) {
      const key = USER_KEY_ONLY.includes(name) ? user.key : a.key;
      const body = USER_KEY_ONLY.includes(name) ? { seq: 1 } : bodyOf(name);
      const names = parameters.filter(isId).map((one) => one.name);
      for (const swapped of [names, ...names.map((one) => [one])]) {
        const real = Object.fromEntries(swapped.map((one) => [one, foreign[one]!]));
        for (const one of names) assert.ok(foreign[one], `${name}: no real id for ${one}; add one to idsOf`);
        const ask = (ids: Ids) => api.call(method, fillPath(path, { ...own, ...ids }), { key, body });
        await assertAlike(`${name} with foreign ${swapped.join()}`, ask, real);
      }
    }
  });

  it('by a user key as well', async () => {
    const user = await aUser(a);
    for (const { name, method, path, parameters, spec } of operationsOf(document)) {
      const names = parameters.filter(isId).map((one) => one.name);
      if (names.length === 0 || /Needs a client key/.test(spec.description)) continue;
      const bodies: Record<string, unknown> = {
        'POST /rooms/{room_id}/join': {},
        'POST /rooms/{room_id}/leave': {},
        'POST /rooms/{room_id}/read': { seq: 1 },
      };
      const ask = (ids: Ids) =>
        api.call(method, fillPath(path, ids), { key: user.key, body: bodies[name] ?? bodyOf(name) });
      await assertAlike(`${name} by a user key`, ask, Object.fromEntries(names.map((one) => [one, foreign[one]!])));
    }
  });

  it('in every id of a body', async () => {
    const message = { room_id: own['room_id'], content: 'hello' };
    const cases: [string, string, string, (id: string) => object][] = [
      ['POST', '/messages', 'room_id', (id) => ({ ...message, room_id: id })],
      ['POST', '/messages', 'user_id', (id) => ({ ...message, sender_id: id })],
      ['POST', '/messages', 'message_id', (id) => ({ ...message, reply_to: id })],
      ['POST', '/rooms', 'user_id', (id) => ({ name: 'A room', member_ids: [own['user_id'], id] })],
      ['POST', '/rooms', 'user_id', (id) => ({ name: 'A room', owner_id: id })],
      ['POST', '/rooms', 'user_id', (id) => ({ room_type: 'direct', member_ids: [own['user_id'], id] })],
      ['POST', `/rooms/${own['room_id']}/join`, 'user_id', (id) => ({ user_id: id })],
      ['POST', `/rooms/${own['room_id']}/leave`, 'user_id', (id) => ({ user_id: id })],
      ['POST', `/rooms/${own['room_id']}/members`, 'user_id', (id) => ({ user_ids: [own['user_id'], id] })],
      ['POST', '/users/login', 'user_id', (id) => ({ user_id: id })],
      ['POST', '/notifications', 'room_id', (id) => ({ type: 'websocket', content: 'x', room_id: id })],
      [
        'POST',
        '/notifications',
        'user_id',
        (id) => ({ type: 'websocket', content: 'x', user_ids: [own['user_id'], id] }),
      ],
      [
        'POST',
        '/notifications/batch',
        'user_id',
        (id) => ({ notifications: [{ type: 'websocket', content: 'x', user_ids: [id] }] }),
      ],
      ['POST', '/webhooks', 'room_id', (id) => ({ url: PUBLIC_URL, events: ['*'], room_ids: [own['room_id'], id] })],
      ['PUT', `/webhooks/${own['webhook_id']}`, 'room_id', (id) => ({ room_ids: [id] })],
    ];
    for (const [method, path, name, body] of cases) {
      const ask = (ids: Ids) => api.call(method, path, { key: a.key, body: body(ids['id']!) });
      await assertAlike(`${method} ${path} with a foreign ${name}`, ask, { id: foreign[name]! });
    }
    const reader = await aUser(a);
    await api.call('POST', `/rooms/${own['room_id']}/join`, { key: reader.key });
    const read = (ids: Ids) =>
      api.call('POST', `/rooms/${own['room_id']}/read`, { key: reader.key, body: { message_id: ids['id'] } });
    await assertAlike('POST read with a foreign message_id', read, { id: foreign['message_id']! });
  });

  it('in the id filters of the lists', async () => {
    const ask = (name: string, list: string, id: string) => api.call('GET', `${list}?${name}=${id}`, { key: a.key });
    await assertAlike('GET /messages', (ids) => ask('room_id', '/messages', ids['id']!), { id: foreign['room_id']! });
    const filters = [
      ['sender_id', '/messages', 'user_id'],
      ['reply_to', '/messages', 'message_id'],
      ['user_id', '/rooms', 'user_id'],
      ['room_id', '/notifications', 'room_id'],
      ['recipient', '/notifications', 'user_id'],
    ];
    for (const [name, list, kind] of filters) {
      const replies = [await ask(name!, list!, foreign[kind!]!), await ask(name!, list!, randomUUID())];
      for (const reply of replies) assert.deepEqual(reply.body?.data, [], `${list}?${name}: ${reply.text}`);
      assert.equal(comparable(replies[0]!), comparable(replies[1]!));
    }
  });

  it("and tenant B's things are untouched after all that", async () => {
    const reply = await api.call('GET', `/messages/${foreign['message_id']}`, { key: a.key });
    assert.equal(reply.status, 404);
    const [row] = await api.database.query<{ n: number }>(
      `SELECT count(*) AS n FROM messages m JOIN room_members r ON r.room_id = m.room_id AND r.left_at IS NULL
       JOIN users u ON u.id = r.user_id AND u.deleted_at IS NULL AND u.full_name IS NULL
       JOIN rooms o ON o.id = m.room_id AND o.name = 'A room' JOIN api_keys k ON k.id = $2 AND k.revoked_at IS NULL
       WHERE m.id = $1 AND m.deleted_at IS NULL AND m.content = 'hello'`,
      [foreign['message_id'], foreign['key_id']],
    );
    assert.equal(row!.n, 2);
  });
});
