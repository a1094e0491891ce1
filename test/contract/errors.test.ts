import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { request, type IncomingMessage, type Server } from 'node:http';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { ERROR_STATUS } from '#libs/common';
import {
  aMessage,
  aRoom,
  aTenant,
  aUser,
  call,
  startApi,
  type Reply,
  type TestApi,
  type TestTenant,
} from '../support/api.js';
import { breakableDatabase } from '../support/breakable-database.js';
import { assertError, assertInvalid } from '../support/errors.js';

const seen = new Set<string>();

function expect(reply: Reply, code: keyof typeof ERROR_STATUS): void {
  assertError(reply, ERROR_STATUS[code], code);
  seen.add(code);
}

describe('Each error code from a real request', () => {
  let api: TestApi;
  let tenant: TestTenant;
  before(async () => {
    api = await startApi();
    tenant = await aTenant(api);
  });
  after(() => api.stop());

  const mint = async (fields: Record<string, unknown> = {}) => {
    const reply = await api.call('POST', '/clients/me/keys', {
      key: tenant.key,
      body: { scopes: ['users:read'], ...fields },
    });
    assert.equal(reply.status, 201, reply.text);
    return reply.body.data as { id: string; key: string };
  };

  it('BAD_REQUEST: a body that is not JSON', async () => {
    for (const raw of ['{', '{"name":"a",}', "{'name':1}", 'name=a', '{"name":"a"} x']) {
      expect(await api.call('POST', '/users', { key: tenant.key, raw }), 'BAD_REQUEST');
    }
  });

  it('BAD_REQUEST: an Idempotency-Key that cannot be one', async () => {
    for (const value of ['', 'k'.repeat(256), 'caf\u00e9', 'a\tb']) {
      const headers = { 'idempotency-key': value };
      const reply = await api.call('POST', '/rooms', { key: tenant.key, body: { name: 'A room' }, headers });
      expect(reply, 'BAD_REQUEST');
    }
  });

  it('INVALID_CREDENTIALS: a key that is missing, malformed, unknown, of another secret or revoked', async () => {
    const path = '/clients/me';
    expect(await api.call('GET', path), 'INVALID_CREDENTIALS');
    const last = tenant.key.at(-1) === 'a' ? 'b' : 'a';
    const values = [
      tenant.key,
      `Basic ${tenant.key}`,
      'Bearer',
      'Bearer ',
      `Bearer ${tenant.key} x`,
      `Bearer ${tenant.key.slice(0, -1)}`,
      `Bearer ${tenant.key.slice(0, -1)}${last}`,
      `Bearer ck_live_00000000_${'0'.repeat(43)}`,
      `Bearer ${tenant.key.replace('ck_live', 'sk_user')}`,
    ];
    for (const authorization of values) {
      expect(await api.call('GET', path, { headers: { authorization } }), 'INVALID_CREDENTIALS');
    }
    expect(await api.call('GET', `${path}?api_key=${tenant.key}&token=${tenant.key}`), 'INVALID_CREDENTIALS');
    const key = await mint();
    assert.equal((await api.call('GET', '/users', { key: key.key })).status, 200);
    assert.equal((await api.call('DELETE', `/clients/me/keys/${key.id}`, { key: tenant.key })).status, 204);
    expect(await api.call('GET', '/users', { key: key.key }), 'INVALID_CREDENTIALS');
  });

  it('KEY_EXPIRED: a key past its expires_at', async () => {
    const minted = await mint({ expires_at: new Date(Date.now() + 3_600_000).toISOString() });
    const user = await aUser(tenant);
    const past = `UPDATE api_keys SET expires_at = now() - interval '1 second' WHERE client_id = $1 AND (id = $2 OR user_id = $3)`;
    await api.database.query(past, [tenant.id, minted.id, user.id]);
    expect(await api.call('GET', '/users', { key: minted.key }), 'KEY_EXPIRED');
    expect(await api.call('GET', '/users/me', { key: user.key }), 'KEY_EXPIRED');
  });

  it('INSUFFICIENT_PERMISSIONS: wrong kind of key, scope, role or membership', async () => {
    const [owner, other] = [await aUser(tenant), await aUser(tenant)];
    const room = await aRoom(tenant, owner);
    expect(await api.call('GET', '/users', { key: owner.key }), 'INSUFFICIENT_PERMISSIONS');
    expect(await api.call('GET', '/rooms', { key: (await mint()).key }), 'INSUFFICIENT_PERMISSIONS');
    expect(await api.call('GET', `/rooms/${room}`, { key: other.key }), 'INSUFFICIENT_PERMISSIONS');
    await api.call('POST', `/rooms/${room}/join`, { key: other.key });
    expect(await api.call('DELETE', `/rooms/${room}`, { key: other.key }), 'INSUFFICIENT_PERMISSIONS');
  });

  it('RESOURCE_NOT_FOUND: an unknown id, route or method', async () => {
    expect(await api.call('GET', `/rooms/${randomUUID()}`, { key: tenant.key }), 'RESOURCE_NOT_FOUND');
    expect(await api.call('GET', '/nothing/here', { key: tenant.key }), 'RESOURCE_NOT_FOUND');
    expect(await api.call('PUT', '/clients', { key: tenant.key, body: {} }), 'RESOURCE_NOT_FOUND');
    expect(await call(`${api.url}/nothing`, 'GET'), 'RESOURCE_NOT_FOUND');
    expect(await api.call('GET', '/rooms/%E0%A4%A', { key: tenant.key }), 'BAD_REQUEST');
  });

  it('CONFLICT: a duplicate names its field', async () => {
    const user = await aUser(tenant, { external_id: 'e-1' });
    const fresh = () => ({ email: `${randomUUID()}@example.com`, username: randomUUID() });
    const cases = { email: user.email.toUpperCase(), username: user.username, external_id: 'e-1' };
    for (const [field, value] of Object.entries(cases)) {
      const reply = await api.call('POST', '/users', { key: tenant.key, body: { ...fresh(), [field]: value } });
      expect(reply, 'CONFLICT');
      assert.deepEqual(
        reply.body.errors.map((error: { field: string }) => error.field),
        [field],
      );
    }
  });

  it('ROOM_FULL, ROOM_INACTIVE and INVALID_STATE', async () => {
    const [owner, second, third] = [await aUser(tenant), await aUser(tenant), await aUser(tenant)];
    const room = await aRoom(tenant, owner, { max_members: 2, member_ids: [second.id] });
    expect(await api.call('POST', `/rooms/${room}/join`, { key: third.key }), 'ROOM_FULL');
    await api.call('PUT', `/rooms/${room}`, { key: owner.key, body: { is_active: false } });
    const body = { room_id: room, content: 'hello' };
    expect(await api.call('POST', '/messages', { key: owner.key, body }), 'ROOM_INACTIVE');
    const listed = await api.call('GET', '/clients/me/keys', { key: tenant.key });
    const master = listed.body.data.find((key: { is_master: boolean }) => key.is_master);
    expect(await api.call('DELETE', `/clients/me/keys/${master.id}`, { key: tenant.key }), 'INVALID_STATE');
  });

  it('HEADERS_TOO_LARGE: more headers than are read', async () => {
    const headers = { 'X-Long': 'a'.repeat(20_000) };
    expect(await api.call('GET', '/rooms', { key: tenant.key, headers }), 'HEADERS_TOO_LARGE');
  });

  it('REQUEST_TIMEOUT: a request that has not arrived as a whole when its time is over', async () => {
    const server = api.app.getHttpServer() as Server;
    // As node does when it finds one past the server's requestTimeout.
    const late = Object.assign(new Error('late'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' });
    server.once('request', ({ socket }: IncomingMessage) => server.emit('clientError', late, socket));
    const length = { 'Content-Type': 'application/json', 'Content-Length': 100 };
    const sending = request(`${api.url}/api/v1/rooms`, { method: 'POST', headers: length }).on(
      'error',
      () => undefined,
    );
    sending.write('{"name":');
    const [answer] = (await once(sending, 'response')) as [IncomingMessage];
    const got = await text(answer);
    const headers = new Headers(answer.headers as Record<string, string>);
    expect({ status: answer.statusCode!, headers, text: got, body: JSON.parse(got) }, 'REQUEST_TIMEOUT');
  });

  it('PAYLOAD_TOO_LARGE: above 256 KiB, and not at it', async () => {
    const filled = (size: number) => `{"name":"A room","x":"${'x'.repeat(size - 24)}"}`;
    assert.equal(filled(100).length, 100);
    const at = await api.call('POST', '/rooms', { key: tenant.key, raw: filled(256 * 1024) });
    assert.equal(at.status, 201, at.text);
    expect(await api.call('POST', '/rooms', { key: tenant.key, raw: filled(256 * 1024 + 1) }), 'PAYLOAD_TOO_LARGE');
  });

  it('UNSUPPORTED_MEDIA_TYPE: a body that is not declared as JSON', async () => {
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/xml',
    ]) {
      const reply = await api.call('POST', '/rooms', {
        key: tenant.key,
        raw: '{"name":"a"}',
        headers: { 'content-type': type },
      });
      expect(reply, 'UNSUPPORTED_MEDIA_TYPE');
    }
  });

  it('VALIDATION_ERROR: every wrong field is named; a malformed id names its parameter', async () => {
    const reply = await api.call('POST', '/users', { key: tenant.key, body: { email: 'x', username: '', meta: [] } });
    assertInvalid(reply, ['email', 'username', 'meta']);
    assertInvalid(await api.call('GET', '/rooms/not-an-id', { key: tenant.key }), ['room_id']);
    assertInvalid(await api.call('GET', '/users?size=0&order=up', { key: tenant.key }), ['size', 'order']);
    assertInvalid(await api.call('POST', '/rooms', { key: tenant.key, body: { name: 'a\0b' } }), ['name']);
    assertInvalid(await api.call('POST', '/rooms', { key: tenant.key, raw: '{"name":"\\ud800"}' }), ['name']);
    for (const raw of ['[]', '"text"', '1', 'true']) {
      assertInvalid(await api.call('POST', '/rooms', { key: tenant.key, raw }), ['body'], raw);
    }
    expect(reply, 'VALIDATION_ERROR');
  });

  it('IDEMPOTENCY_KEY_REUSED: the same key with another body', async () => {
    const headers = { 'idempotency-key': randomUUID() };
    await api.call('POST', '/rooms', { key: tenant.key, body: { name: 'One' }, headers });
    expect(
      await api.call('POST', '/rooms', { key: tenant.key, body: { name: 'Two' }, headers }),
      'IDEMPOTENCY_KEY_REUSED',
    );
  });

  it('IDEMPOTENCY_IN_PROGRESS: the same key while the first request runs', async () => {
    const user = await aUser(tenant);
    const room = await aRoom(tenant, user);
    const blocker = await api.database.pool.connect();
    try {
      await blocker.query('BEGIN');
      await blocker.query('SELECT 1 FROM room_counters WHERE client_id = $1 AND room_id = $2 FOR UPDATE', [
        tenant.id,
        room,
      ]);
      const send = () =>
        api.call('POST', '/messages', {
          key: user.key,
          body: { room_id: room, content: 'hello' },
          headers: { 'idempotency-key': 'one' },
        });
      const [a, b] = [send(), send()];
      const early = await Promise.race([a, b]);
      expect(early, 'IDEMPOTENCY_IN_PROGRESS');
      assert.equal(early.headers.get('retry-after'), '1');
      await blocker.query('COMMIT');
      assert.deepEqual((await Promise.all([a, b])).map((reply) => reply.status).sort(), [201, 409]);
    } finally {
      blocker.release();
    }
  });

  it('RATE_LIMIT_EXCEEDED: says when to come back', async () => {
    const limited = await startApi({ RATE_LIMIT_MESSAGES: '3/3600' });
    try {
      const strict = await aTenant(limited);
      const user = await aUser(strict);
      const room = await aRoom(strict, user);
      for (let i = 0; i < 3; i++) await aMessage(strict, user, room);
      const reply = await limited.call('GET', '/messages', { key: user.key });
      expect(reply, 'RATE_LIMIT_EXCEEDED');
      const retryAfter = Number(reply.headers.get('retry-after'));
      assert.ok(retryAfter > 3500 && retryAfter <= 3601, String(retryAfter));
      assert.equal(reply.headers.get('x-ratelimit-limit'), '3');
      assert.equal(reply.headers.get('x-ratelimit-remaining'), '0');
      const reset = Number(reply.headers.get('x-ratelimit-reset'));
      assert.ok(Math.abs(reset - Date.now() / 1000 - retryAfter) < 60);
    } finally {
      await limited.stop();
    }
  });

  it('SERVICE_UNAVAILABLE: the database is out of reach', async () => {
    const door = await breakableDatabase();
    const broken = await startApi({}, door.url);
    try {
      const strict = await aTenant(broken);
      await door.shut();
      const body = { name: 'A room' };
      for (const reply of [
        await broken.call('GET', '/users', { key: strict.key }),
        await broken.call('POST', '/rooms', { key: strict.key, body }),
      ]) {
        expect(reply, 'SERVICE_UNAVAILABLE');
        assert.ok(Number(reply.headers.get('retry-after')) >= 1);
        assert.doesNotMatch(reply.text, /pool|postgres|ECONN|socket/i);
      }
    } finally {
      await door.shut();
      await broken.stop();
    }
  });

  it('INTERNAL_ERROR: tells nothing of the inside', async () => {
    const broken = await startApi();
    const query = broken.database.query.bind(broken.database);
    try {
      const strict = await aTenant(broken);
      broken.database.query = () => Promise.reject(new TypeError('secret cause'));
      const reply = await broken.call('GET', '/clients/me', { key: strict.key });
      expect(reply, 'INTERNAL_ERROR');
      assert.doesNotMatch(reply.text, /secret|TypeError/);
    } finally {
      broken.database.query = query;
      await broken.stop();
    }
  });

  it('leaves no code of the table out', () => {
    assert.deepEqual([...seen].sort(), Object.keys(ERROR_STATUS).sort());
  });
});
