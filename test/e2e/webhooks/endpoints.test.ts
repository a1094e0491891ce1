import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { aRoom, aTenant, aUser, startApi, type Reply, type TestApi, type TestTenant } from '../../support/api.js';
import { assertError, assertInvalid } from '../../support/errors.js';
import { aWebhook, PUBLIC_URL } from '../../support/webhooks.js';

describe('Webhook endpoints', () => {
  let api: TestApi;
  let tenant: TestTenant;
  before(async () => {
    api = await startApi();
    tenant = await aTenant(api);
  });
  after(() => api.stop());

  const create = (body: object, key = tenant.key): Promise<Reply> => api.call('POST', '/webhooks', { key, body });
  const valid = { url: PUBLIC_URL, events: ['message.*'] };

  it('are created with defaults and a secret that is shown once, read, listed, changed and deleted', async () => {
    const made = await create(valid);
    assert.equal(made.status, 201, made.text);
    const { id, secret, created_at, updated_at, ...rest } = made.body.data;
    assert.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
    assert.equal(created_at, updated_at);
    assert.deepEqual(rest, {
      url: PUBLIC_URL,
      description: null,
      events: ['message.*'],
      room_ids: [],
      ordered: false,
      is_active: true,
      disabled_reason: null,
      custom_headers: {},
      meta: {},
      last_delivery_at: null,
      consecutive_failures: 0,
    });
    const read = await api.call('GET', `/webhooks/${id}`, { key: tenant.key });
    assert.deepEqual(read.body.data, { id, ...rest, created_at, updated_at });
    const changed = await api.call('PUT', `/webhooks/${id}`, {
      key: tenant.key,
      body: { events: ['*', '*', 'room.joined'], description: 'x', custom_headers: { 'X-A': 'b' }, ordered: true },
    });
    assert.equal(changed.status, 200, changed.text);
    assert.deepEqual(changed.body.data.events, ['*', 'room.joined']);
    assert.deepEqual(changed.body.data.custom_headers, { 'X-A': 'b' });
    assert.ok(changed.body.data.ordered && changed.body.data.url === PUBLIC_URL);
    assert.equal((await api.call('DELETE', `/webhooks/${id}`, { key: tenant.key })).status, 204);
    assertError(await api.call('GET', `/webhooks/${id}`, { key: tenant.key }), 404, 'RESOURCE_NOT_FOUND');
    assertError(await api.call('DELETE', `/webhooks/${id}`, { key: tenant.key }), 404, 'RESOURCE_NOT_FOUND');
  });

  it('say which field is wrong and why', async () => {
    const cases: [string, object][] = [
      ['url', { ...valid, url: '' }],
      ['url', { ...valid, url: `https://example.com/${'x'.repeat(2048)}` }],
      ['url', { ...valid, url: 'nonsense' }],
      ['url', { ...valid, url: 'ftp://93.184.215.14/' }],
      ['url', { ...valid, url: 'https://user:secret@93.184.215.14/' }],
      ['url', { ...valid, url: 'http://127.0.0.1/' }],
      ['url', { ...valid, url: 'http://169.254.169.254/latest' }],
      ['url', { ...valid, url: 'http://[::ffff:10.0.0.1]/' }],
      ['url', { ...valid, url: 'http://[64:ff9b::7f00:1]/' }],
      ['url', { ...valid, url: 'http://localhost/' }],
      ['events', { ...valid, events: [] }],
      ['events', { ...valid, events: ['message.created', 'message.painted'] }],
      ['events', { ...valid, events: ['painting.*'] }],
      ['events', { ...valid, events: ['*.created'] }],
      ['events', { ...valid, events: '*' }],
      ['events', { url: PUBLIC_URL }],
      ['room_ids', { ...valid, room_ids: ['x'] }],
      ['description', { ...valid, description: 'x'.repeat(2001) }],
      ['is_active', { ...valid, is_active: 'yes' }],
      ['ordered', { ...valid, ordered: null }],
      ['meta', { ...valid, meta: [] }],
    ];
    for (const [field, body] of cases) assertInvalid(await create(body), [field], JSON.stringify(body).slice(0, 200));
    const refused = await create({ ...valid, url: 'http://127.0.0.1/' });
    assert.match(refused.text, /EGRESS_ALLOWED_CIDRS/);
    assert.equal((await create({ ...valid, description: 'x'.repeat(2000) })).status, 201);
  });

  it('take no custom header that is the server\u2019s, the connection\u2019s or the body\u2019s, and none that breaks the line', async () => {
    const forbidden = [
      'Host',
      'content-length',
      'Content-Type',
      'webhook-id',
      'Webhook-Anything',
      'Connection',
      'keep-alive',
      'Transfer-Encoding',
      'TE',
      'Upgrade',
      'Trailer',
      'Proxy-Authorization',
      'Expect',
      'User-Agent',
      'X-ChatAPI-Signature',
      'x-chatapi-attempt',
    ];
    for (const name of forbidden) {
      assertInvalid(await create({ ...valid, custom_headers: { [name]: 'a' } }), ['custom_headers']);
    }
    const values = [
      '',
      ' a',
      'a ',
      'a\r\nX-Other: b',
      'a\nb',
      'a\tb',
      'a\x1bb',
      'a\x7fb',
      'a\0b',
      'ü',
      'x'.repeat(1001),
      7,
      null,
    ];
    for (const value of values) {
      assertInvalid(await create({ ...valid, custom_headers: { 'X-A': value } }), ['custom_headers']);
    }
    const inherited = ['__proto__', 'constructor', 'Constructor', 'toString', '__defineGetter__'];
    const names = ['', 'a b', 'a:b', 'a(b)', 'a/b', 'a\tb', 'ü', 'a\r\nb', 'x'.repeat(101), ...inherited];
    for (const name of names) {
      assertInvalid(await create({ ...valid, custom_headers: { [name]: 'a' } }), ['custom_headers']);
      assertInvalid(await create({ ...valid, custom_headers: { 'X-A': 'a', [name]: 'a' } }), ['custom_headers']);
    }
    const headers = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`X-H${i}`, 'a']));
    assertInvalid(await create({ ...valid, custom_headers: headers(21) }), ['custom_headers']);
    assertInvalid(await create({ ...valid, custom_headers: { 'X-A': 'a', 'x-a': 'b' } }), ['custom_headers']);
    assertInvalid(await create({ ...valid, custom_headers: [] }), ['custom_headers']);
    const good = { ...headers(18), Authorization: 'Bearer a  b', ['x'.repeat(100)]: 'x'.repeat(1000) };
    const reply = await create({ ...valid, custom_headers: good });
    assert.equal(reply.status, 201, reply.text);
    assert.deepEqual(reply.body.data.custom_headers, good);
  });

  it('hear of rooms of the client only', async () => {
    const owner = await aUser(tenant);
    const room = await aRoom(tenant, owner);
    const made = await create({ ...valid, room_ids: [room.toUpperCase()] });
    assert.deepEqual(made.body.data.room_ids, [room]);
    const stranger = await aTenant(api);
    const foreign = await aRoom(stranger, await aUser(stranger));
    assertError(await create({ ...valid, room_ids: [room, foreign] }), 404, 'RESOURCE_NOT_FOUND');
    const path = `/webhooks/${made.body.data.id}`;
    const moved = await api.call('PUT', path, { key: tenant.key, body: { room_ids: [foreign] } });
    assertError(moved, 404, 'RESOURCE_NOT_FOUND');
    assert.deepEqual((await api.call('GET', path, { key: tenant.key })).body.data.room_ids, [room]);
  });

  it('can be put back as they are shown after a room of theirs was erased', async () => {
    const owner = await aUser(tenant);
    const [gone, kept] = [await aRoom(tenant, owner), await aRoom(tenant, owner)];
    const { id } = (await create({ ...valid, room_ids: [gone, kept] })).body.data;
    await api.call('DELETE', `/rooms/${gone}`, { key: tenant.key });
    const shown = (await api.call('GET', `/webhooks/${id}`, { key: tenant.key })).body.data;
    const put = await api.call('PUT', `/webhooks/${id}`, { key: tenant.key, body: { ...shown, description: 'new' } });
    assert.deepEqual([put.status, put.body.data?.room_ids, put.body.data?.description], [200, [gone, kept], 'new']);
  });

  it('are the client\u2019s alone, and ask for their scopes', async () => {
    const user = await aUser(tenant);
    const { id } = await aWebhook(tenant);
    const mint = async (scopes: string[]): Promise<string> => {
      const reply = await api.call('POST', '/clients/me/keys', { key: tenant.key, body: { scopes } });
      return reply.body.data.key;
    };
    const [reader, writer] = [await mint(['webhooks:read']), await mint(['webhooks:write'])];
    const routes: [string, string, object | undefined, 'read' | 'write'][] = [
      ['POST', '/webhooks', valid, 'write'],
      ['GET', '/webhooks', undefined, 'read'],
      ['GET', '/webhooks/event-types', undefined, 'read'],
      ['GET', `/webhooks/${id}`, undefined, 'read'],
      ['PUT', `/webhooks/${id}`, { description: 'x' }, 'write'],
      ['GET', `/webhooks/${id}/secret`, undefined, 'write'],
      ['POST', `/webhooks/${id}/rotate-secret`, {}, 'write'],
      ['POST', `/webhooks/${id}/test`, {}, 'write'],
      ['GET', `/webhooks/${id}/deliveries`, undefined, 'read'],
      ['POST', `/webhooks/${id}/recover`, { since: '2024-01-01T00:00:00Z' }, 'write'],
    ];
    for (const [method, path, body, needs] of routes) {
      assertError(await api.call(method, path, { key: user.key, body }), 403, 'INSUFFICIENT_PERMISSIONS');
      const [can, cannot] = needs === 'read' ? [reader, writer] : [writer, reader];
      assertError(await api.call(method, path, { key: cannot, body }), 403, 'INSUFFICIENT_PERMISSIONS');
      const reply = await api.call(method, path, { key: can, body });
      assert.ok(reply.status < 300, `${method} ${path}: ${reply.text}`);
    }
  });

  it('show the secret again, and replace it', async () => {
    const { id, secret } = await aWebhook(tenant);
    const show = () => api.call('GET', `/webhooks/${id}/secret`, { key: tenant.key });
    assert.deepEqual((await show()).body.data, { secret, previous_secret_until: null });
    const rotate = (body: object) => api.call('POST', `/webhooks/${id}/rotate-secret`, { key: tenant.key, body });
    const before = Date.now();
    const second = (await rotate({})).body.data;
    assert.notEqual(second.secret, secret);
    const until = Date.parse(second.previous_secret_until) - before;
    assert.ok(until > 86_390_000 && until < 86_460_000, `the old one signs for 24 hours: ${until}`);
    assert.deepEqual((await show()).body.data, second);
    const third = (await rotate({ grace_seconds: 0 })).body.data;
    assert.equal(third.previous_secret_until, null);
    assertInvalid(await rotate({ grace_seconds: 86_401 }), ['grace_seconds']);
    const [row] = await api.database.query<{ n: number }>(
      `SELECT count(*) AS n FROM webhook_endpoints WHERE id = $1 AND position(convert_to($2, 'UTF8') IN secret) > 0`,
      [id, third.secret],
    );
    assert.equal(row!.n, 0, 'the secret is not stored in the clear');
  });
});
