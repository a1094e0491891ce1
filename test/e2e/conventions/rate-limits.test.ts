import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it, type TestContext } from 'node:test';
import { WebSocket } from 'ws';
import { aRoom, aTenant, aUser, startApi, type Reply, type TestApi } from '../../support/api.js';
import { assertError } from '../../support/errors.js';

async function limited(t: TestContext, env: Record<string, string>): Promise<TestApi> {
  const api = await startApi(env);
  t.after(() => api.stop());
  return api;
}

function rateOf(reply: Reply): { limit: number; remaining: number; reset: number } {
  const read = (name: string): number => {
    const value = reply.headers.get(`x-ratelimit-${name}`);
    assert.match(value ?? 'none', /^\d+$/, `X-RateLimit-${name} of ${reply.status} ${reply.text}`);
    return Number(value);
  };
  return { limit: read('limit'), remaining: read('remaining'), reset: read('reset') };
}

function assertTooMany(reply: Reply): void {
  assertError(reply, 429, 'RATE_LIMIT_EXCEEDED');
  assert.equal(rateOf(reply).remaining, 0);
  assert.ok(Number(reply.headers.get('retry-after')) >= 1);
}

describe('Rate limits', () => {
  it('shows its headers on every API answer, whatever the status', async (t) => {
    const api = await limited(t, {
      RATE_LIMIT_DEFAULT: '50/3600',
      RATE_LIMIT_AUTHENTICATION: '40/3600',
      RATE_LIMIT_MESSAGES: '30/3600',
      RATE_LIMIT_NOTIFICATIONS: '20/3600',
    });
    const { key } = await aTenant(api);
    const random = '0198c0de-1111-7000-8000-000000000001';
    const cases: [number, number, Promise<Reply>][] = [
      [200, 50, api.call('GET', '/clients/me', { key })],
      [201, 40, api.call('POST', '/clients', { body: { name: 'A tenant' } })],
      [400, 50, api.call('POST', '/rooms', { key, raw: '{' })],
      [401, 40, api.call('GET', '/clients/me')],
      [404, 50, api.call('GET', `/rooms/${random}`, { key })],
      [404, 30, api.call('GET', `/messages/${random}`, { key })],
      [404, 50, api.call('GET', '/nothing', { key })],
      [415, 50, api.call('POST', '/rooms', { key, raw: 'x', headers: { 'content-type': 'text/plain' } })],
      [422, 50, api.call('POST', '/rooms', { key, body: {} })],
      // Before the key is looked at, the limit of the route.
      [400, 30, api.call('POST', '/messages', { key, raw: '{' })],
      [415, 20, api.call('POST', '/notifications', { key, raw: 'x', headers: { 'content-type': 'text/plain' } })],
      [413, 30, api.call('PUT', `/messages/${random}`, { key, raw: `"${'x'.repeat(262_144)}"` })],
      [400, 40, api.call('POST', '/users/login', { key, raw: '{' })],
    ];
    for (const [status, limit, asked] of cases) {
      const reply = await asked;
      assert.equal(reply.status, status, reply.text);
      const rate = rateOf(reply);
      assert.equal(rate.limit, limit, reply.text);
      const ahead = rate.reset - Date.now() / 1000;
      assert.ok(ahead > 3500 && ahead <= 3601, String(ahead));
    }
    const outside = await fetch(`${api.url}/health/live`);
    assert.equal(outside.headers.get('x-ratelimit-limit'), null);
  });

  it('counts down to the limit, the limit itself included, in one fixed window', async (t) => {
    const api = await limited(t, { RATE_LIMIT_DEFAULT: '3/3600' });
    const { key } = await aTenant(api);
    const replies: Reply[] = [];
    for (let i = 0; i < 4; i++) replies.push(await api.call('GET', '/clients/me', { key }));
    assert.deepEqual(
      replies.map((reply) => reply.status),
      [200, 200, 200, 429],
    );
    assert.deepEqual(
      replies.map((reply) => rateOf(reply).remaining),
      [2, 1, 0, 0],
    );
    const resets = replies.map((reply) => rateOf(reply).reset);
    assert.ok(Math.max(...resets) - Math.min(...resets) <= 1);
    assertTooMany(replies[3]!);
  });

  it('counts requests that are refused for their content too', async (t) => {
    const api = await limited(t, { RATE_LIMIT_DEFAULT: '2/3600' });
    const { key } = await aTenant(api);
    assert.equal((await api.call('POST', '/rooms', { key, body: {} })).status, 422);
    assert.equal((await api.call('POST', '/rooms', { key, body: {} })).status, 422);
    assertTooMany(await api.call('GET', '/clients/me', { key }));
  });

  it('counts what a key may not do in the family of the route, and goes on saying so', async (t) => {
    const api = await limited(t, { RATE_LIMIT_NOTIFICATIONS: '2/3600', RATE_LIMIT_MESSAGES: '3/3600' });
    const tenant = await aTenant(api);
    const user = await aUser(tenant);
    const minted = await api.call('POST', '/clients/me/keys', { key: tenant.key, body: { scopes: ['users:read'] } });
    for (const [path, key, limit] of [
      ['/notifications', user.key, 2],
      ['/messages', minted.body.data.key, 3],
    ] as const) {
      for (const remaining of [limit - 1, limit - 2, Math.max(0, limit - 3), 0]) {
        const reply = await api.call('GET', path, { key });
        assertError(reply, 403, 'INSUFFICIENT_PERMISSIONS');
        const rate = rateOf(reply);
        assert.deepEqual([rate.limit, rate.remaining], [limit, remaining]);
      }
    }
    assertTooMany(await api.call('GET', '/messages', { key: tenant.key }));
  });

  it('gives each family a window of its own', async (t) => {
    const api = await limited(t, {
      RATE_LIMIT_MESSAGES: '1/3600',
      RATE_LIMIT_AUTHENTICATION: '3/3600',
      RATE_LIMIT_DEFAULT: '4/3600',
    });
    const tenant = await aTenant(api);
    const { key } = tenant;
    const user = await aUser(tenant); // default 1
    assert.equal((await api.call('GET', '/messages', { key })).status, 200);
    assertTooMany(await api.call('GET', '/messages', { key }));
    const login = () => api.call('POST', '/users/login', { key, body: { user_id: user.id } });
    const mint = () => api.call('POST', '/clients/me/keys', { key, body: { scopes: ['users:read'] } });
    assert.equal((await login()).status, 200);
    assert.equal((await mint()).status, 201);
    assert.equal((await login()).status, 200);
    assertTooMany(await mint());
    for (let i = 0; i < 3; i++) assert.equal((await api.call('GET', '/users', { key })).status, 200);
    assertTooMany(await api.call('GET', '/users', { key }));
  });

  it('counts each principal apart; all keys of a principal together', async (t) => {
    const api = await limited(t, { RATE_LIMIT_MESSAGES: '2/3600' });
    const tenant = await aTenant(api);
    const [john, jane] = [await aUser(tenant), await aUser(tenant)];
    const room = await aRoom(tenant, john, { member_ids: [jane.id] });
    const list = (key: string) => api.call('GET', `/messages?room_id=${room}`, { key });
    for (const key of [john.key, jane.key, tenant.key]) {
      assert.deepEqual([(await list(key)).status, (await list(key)).status], [200, 200]);
      assertTooMany(await list(key));
    }
    const minted = await api.call('POST', '/clients/me/keys', { key: tenant.key, body: { scopes: ['messages:read'] } });
    assertTooMany(await list(minted.body.data.key));
    const login = await api.call('POST', '/users/login', { key: tenant.key, body: { user_id: john.id } });
    assertTooMany(await list(login.body.data.scoped_api_key));
    const other = await aTenant(api);
    assert.equal((await api.call('GET', '/messages', { key: other.key })).status, 200);
  });

  it('counts registrations by address', async (t) => {
    const api = await limited(t, { RATE_LIMIT_AUTHENTICATION: '2/3600', TRUST_PROXY: 'true' });
    const register = (ip: string) =>
      api.call('POST', '/clients', { body: { name: 'A tenant' }, headers: { 'x-forwarded-for': ip } });
    assert.deepEqual([(await register('192.0.2.1')).status, (await register('192.0.2.1')).status], [201, 201]);
    assertTooMany(await register('192.0.2.1'));
    assert.equal((await register('192.0.2.2')).status, 201);
  });

  it('counts failed authentication by address, and failures only', async (t) => {
    const api = await limited(t, { RATE_LIMIT_AUTHENTICATION: '3/3600', TRUST_PROXY: 'true' });
    const { key } = await aTenant(api);
    const from = (ip: string, bearer?: string) =>
      api.call('GET', '/clients/me', { ...(bearer ? { key: bearer } : {}), headers: { 'x-forwarded-for': ip } });
    for (let i = 0; i < 5; i++) assert.equal((await from('192.0.2.1', key)).status, 200);
    const failures = [await from('192.0.2.1'), await from('192.0.2.1', 'nonsense'), await from('192.0.2.1')];
    for (const reply of failures) assertError(reply, 401, 'INVALID_CREDENTIALS');
    assert.deepEqual(
      failures.map((reply) => rateOf(reply).remaining),
      [2, 1, 0],
    );
    assertTooMany(await from('192.0.2.1'));
    assertError(await from('192.0.2.2'), 401, 'INVALID_CREDENTIALS');
    assert.equal((await from('192.0.2.1', key)).status, 200, 'a good key still works from there');
  });

  it('counts failed authentication of sockets by address, and takes nobody else’s word for it', async (t) => {
    const api = await limited(t, { RATE_LIMIT_AUTHENTICATION: '2/3600', TRUST_PROXY: '127.0.0.2' });
    const codes: string[] = [];
    for (let n = 1; n <= 3; n++) {
      const headers = { authorization: 'Bearer nonsense', 'x-forwarded-for': `192.0.2.${n}` };
      const socket = new WebSocket(`${api.url.replace('http', 'ws')}/api/v1/websocket/open`, { headers });
      const [data] = (await once(socket, 'message')) as [Buffer];
      codes.push(JSON.parse(data.toString()).data.error_code);
      socket.terminate();
    }
    assert.deepEqual(codes, ['INVALID_CREDENTIALS', 'INVALID_CREDENTIALS', 'RATE_LIMIT_EXCEEDED']);
  });

  it('can be switched off: no limit, no headers', async (t) => {
    const api = await limited(t, {});
    const { key } = await aTenant(api);
    const reply = await api.call('GET', '/clients/me', { key });
    assert.equal(reply.headers.get('x-ratelimit-limit'), null);
  });
});
