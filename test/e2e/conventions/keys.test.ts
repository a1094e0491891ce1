import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { SCOPES, USER_SCOPES } from '#libs/security';
import { aRoom, aTenant, aUser, startApi, type Reply, type TestApi, type TestTenant } from '../../support/api.js';
import { median, until } from '../../support/concurrency.js';
import { assertError, assertInvalid } from '../../support/errors.js';

/** The contract's, which most must keep; a starved machine may be late with some of them. */
const SOON_MS = 1_000;
const LATE_MS = 20_000;

describe('Keys', () => {
  let api: TestApi;
  let elsewhere: TestApi;
  before(async () => {
    [api, elsewhere] = await Promise.all([startApi(), startApi()]);
  });
  after(() => Promise.all([api.stop(), elsewhere.stop()]));

  const mint = (key: string, body: Record<string, unknown>) => api.call('POST', '/clients/me/keys', { key, body });
  const minted = async (tenant: TestTenant, scopes: readonly string[]): Promise<{ id: string; key: string }> => {
    const reply = await mint(tenant.key, { scopes });
    assert.equal(reply.status, 201, reply.text);
    return reply.body.data;
  };
  const me = (key: string, on = api) => on.call('GET', '/clients/me', { key });
  const rotate = (key: string, body?: object) => api.call('POST', '/clients/me/keys/rotate', { key, body });

  /** Asks the other process until it refuses the key. */
  const waits: number[] = [];
  const assertRefusedElsewhere = async (ask: () => Promise<Reply>) => {
    let reply!: Reply;
    const since = Date.now();
    await until('it is refused elsewhere', async () => (reply = await ask()).status === 401, LATE_MS);
    waits.push(Date.now() - since);
    assertError(reply, 401, 'INVALID_CREDENTIALS');
  };

  it('keep when they were used, not when that was written down', async () => {
    const tenant = await aTenant(api);
    const { id, key } = await aUser(tenant);
    assert.equal((await api.call('GET', '/users/me', { key })).status, 200);
    const answered = Date.now();
    const times = async () => {
      const [row] = await api.database.query<{ used: Date | null; seen: Date | null }>(
        `SELECT k.last_used_at AS used, u.last_seen_at AS seen FROM api_keys k
         JOIN users u ON u.client_id = k.client_id AND u.id = k.user_id WHERE k.client_id = $1 AND u.id = $2`,
        [tenant.id, id],
      );
      return [row!.used, row!.seen];
    };
    await until('it is written down', async () => !(await times()).includes(null));
    for (const time of await times()) assert.ok(time!.getTime() <= answered, `${time!.getTime() - answered} ms later`);
  });

  it('have the written form, and are stored as a hash', async () => {
    const tenant = await aTenant(api);
    const user = await aUser(tenant);
    const { key } = await minted(tenant, ['users:read']);
    assert.match(tenant.key, /^ck_live_[0-9A-Za-z]{8}_[0-9A-Za-z]{43}$/);
    assert.match(key, /^ck_live_[0-9A-Za-z]{8}_[0-9A-Za-z]{43}$/);
    assert.match(user.key, /^sk_user_[0-9A-Za-z]{8}_[0-9A-Za-z]{43}$/);
    const stored = await api.database.query<{ row: string }>(
      'SELECT k::text AS row FROM api_keys k WHERE client_id = $1',
      [tenant.id],
    );
    assert.equal(stored.length, 3);
    const text = stored.map(({ row }) => row).join();
    for (const one of [tenant.key, key, user.key]) assert.ok(!text.includes(one.slice(17)), 'a secret is stored');
    const listed = await api.call('GET', '/clients/me/keys', { key: tenant.key });
    assert.equal(listed.body.pagination.total, 2);
    for (const one of [tenant.key, key]) assert.ok(!listed.text.includes(one.slice(17)), 'a secret is listed');
  });

  it('made narrower may do what their scopes say, and nothing else', async () => {
    const tenant = await aTenant(api);
    const user = await aUser(tenant);
    const room = await aRoom(tenant, user);
    const routes: [string, string, string, object?][] = [
      ['messages:read', 'GET', '/messages'],
      ['messages:write', 'POST', '/messages', { room_id: room, content: 'hello' }],
      ['rooms:read', 'GET', '/rooms/all'],
      ['rooms:write', 'PUT', `/rooms/${room}`, { name: 'New' }],
      ['users:read', 'GET', '/users'],
      ['users:write', 'PUT', `/users/${user.id}`, { full_name: 'John' }],
      ['clients:write', 'GET', '/clients/me'],
    ];
    for (const [scope] of routes) {
      const { key } = await minted(tenant, [scope]);
      for (const [needed, method, path, body] of routes) {
        const reply = await api.call(method, path, { key, body });
        if (needed === scope) assert.ok(reply.status < 300, `${scope} ${method} ${path}: ${reply.text}`);
        else assertError(reply, 403, 'INSUFFICIENT_PERMISSIONS', `${scope} ${method} ${path}`);
      }
    }
  });

  it('cannot mint more than they have, rotate or erase', async () => {
    const tenant = await aTenant(api);
    const { key } = await minted(tenant, ['clients:write', 'users:read']);
    const same = await mint(key, { scopes: ['users:read'] });
    assert.equal(same.status, 201, same.text);
    assert.deepEqual(same.body.data.scopes, ['users:read']);
    assert.equal(same.body.data.is_master, false);
    for (const scopes of [['users:write'], ['users:read', 'messages:read'], [...SCOPES]]) {
      assertError(await mint(key, { scopes }), 403, 'INSUFFICIENT_PERMISSIONS');
    }
    const everything = await minted(tenant, SCOPES);
    for (const one of [key, everything.key]) {
      assertError(await rotate(one, {}), 403, 'INSUFFICIENT_PERMISSIONS');
      const erase = await api.call('DELETE', '/clients/me', { key: one, body: { confirm: tenant.name } });
      assertError(erase, 403, 'INSUFFICIENT_PERMISSIONS');
    }
    const user = await aUser(tenant);
    assertError(await mint(user.key, { scopes: ['users:read'] }), 403, 'INSUFFICIENT_PERMISSIONS');
  });

  it('are minted from a closed set, with a future end', async () => {
    const tenant = await aTenant(api);
    for (const scopes of [[], ['users'], ['users:read', 'x'], 'users:read', undefined]) {
      assertInvalid(await mint(tenant.key, { scopes }), ['scopes'], JSON.stringify(scopes));
    }
    const scopes = ['users:read'];
    assertInvalid(await mint(tenant.key, { scopes, expires_at: new Date(Date.now() - 1000).toISOString() }), [
      'expires_at',
    ]);
    for (const never of ['9999-12-31T23:59:59-00:01', '0000-01-01T00:00:00+00:01']) {
      assertInvalid(await mint(tenant.key, { scopes, expires_at: never }), ['expires_at'], never);
    }
    const late = await mint(tenant.key, { scopes, expires_at: '9999-12-31T00:00:00-23:59' });
    assert.equal(late.body.data.expires_at, '9999-12-31T23:59:00.000Z');
    assertInvalid(await mint(tenant.key, { scopes, name: 'n'.repeat(256) }), ['name']);
    assert.equal((await mint(tenant.key, { scopes, name: 'n'.repeat(255) })).status, 201);
  });

  it('of a user, made by a narrower key, lack what their maker lacks', async () => {
    const tenant = await aTenant(api);
    const { key } = await minted(tenant, ['users:write', 'rooms:read']);
    const name = randomUUID();
    const created = await api.call('POST', '/users', { key, body: { email: `${name}@example.com`, username: name } });
    const login = await api.call('POST', '/users/login', {
      key,
      body: { user_id: created.body.data.id, device: 'phone' },
    });
    for (const reply of [created, login]) {
      assert.ok(reply.status < 300, reply.text);
      const user = reply.body.data.scoped_api_key;
      assert.equal((await api.call('GET', '/rooms', { key: user })).status, 200);
      assert.equal((await api.call('PUT', '/users/me', { key: user, body: { full_name: 'John' } })).status, 200);
      for (const path of ['/messages', '/users/me']) {
        assertError(await api.call('GET', path, { key: user }), 403, 'INSUFFICIENT_PERMISSIONS', path);
      }
      assertError(
        await api.call('POST', '/rooms', { key: user, body: { name: 'A room' } }),
        403,
        'INSUFFICIENT_PERMISSIONS',
      );
    }
    assert.ok(!USER_SCOPES.includes('clients:write'));
  });

  it('revoked stop at once here and within a second elsewhere', async () => {
    const tenant = await aTenant(api);
    const { id, key } = await minted(tenant, ['clients:write']);
    assert.deepEqual([(await me(key)).status, (await me(key, elsewhere)).status], [200, 200]);
    assert.equal((await api.call('DELETE', `/clients/me/keys/${id}`, { key: tenant.key })).status, 204);
    assertError(await me(key), 401, 'INVALID_CREDENTIALS');
    await assertRefusedElsewhere(() => me(key, elsewhere));
    assertError(await api.call('DELETE', `/clients/me/keys/${id}`, { key: tenant.key }), 404, 'RESOURCE_NOT_FOUND');
    const listed = await api.call('GET', '/clients/me/keys', { key: tenant.key });
    assert.ok(!listed.body.data.some((one: { id: string }) => one.id === id));
  });

  it('of a user stop everywhere with login, deactivation and deletion', async () => {
    const tenant = await aTenant(api);
    const byLogin = (id: string) => api.call('POST', '/users/login', { key: tenant.key, body: { user_id: id } });
    const byUpdate = (id: string) => api.call('PUT', `/users/${id}`, { key: tenant.key, body: { is_active: false } });
    const byDelete = (id: string) => api.call('DELETE', `/users/${id}`, { key: tenant.key });
    for (const end of [byLogin, byUpdate, byDelete]) {
      const user = await aUser(tenant);
      const own = (on: TestApi) => on.call('GET', '/users/me', { key: user.key });
      assert.deepEqual([(await own(api)).status, (await own(elsewhere)).status], [200, 200]);
      assert.ok((await end(user.id)).status < 300);
      assertError(await own(api), 401, 'INVALID_CREDENTIALS');
      await assertRefusedElsewhere(() => own(elsewhere));
    }
  });

  it('of an erased tenant stop everywhere', async () => {
    const tenant = await aTenant(api);
    const user = await aUser(tenant);
    const own = (on: TestApi) => on.call('GET', '/users/me', { key: user.key });
    assert.deepEqual([(await own(api)).status, (await own(elsewhere)).status], [200, 200]);
    const body = { confirm: tenant.name };
    assertInvalid(await api.call('DELETE', '/clients/me', { key: tenant.key, body: { confirm: 'no' } }), ['confirm']);
    const erased = await api.call('DELETE', '/clients/me', { key: tenant.key, body });
    assert.deepEqual([erased.status, erased.text], [204, '']);
    assertError(await me(tenant.key), 401, 'INVALID_CREDENTIALS');
    assertError(await own(api), 401, 'INVALID_CREDENTIALS');
    await assertRefusedElsewhere(() => own(elsewhere));
  });

  it('rotate without grace: the old master key stops at once', async () => {
    const tenant = await aTenant(api);
    assert.equal((await me(tenant.key, elsewhere)).status, 200);
    const reply = await rotate(tenant.key);
    assert.equal(reply.status, 201, reply.text);
    assert.equal(reply.body.data.is_master, true);
    assertError(await me(tenant.key), 401, 'INVALID_CREDENTIALS');
    await assertRefusedElsewhere(() => me(tenant.key, elsewhere));
    for (const on of [api, elsewhere]) assert.equal((await me(reply.body.data.key, on)).status, 200);
  });

  it('rotate with grace: the old one works on, without the powers of a master key, until its end', async () => {
    const tenant = await aTenant(api);
    for (const grace of [-1, 86_401, 1.5, '60']) {
      assertInvalid(await rotate(tenant.key, { grace_seconds: grace }), ['grace_seconds'], String(grace));
    }
    const reply = await rotate(tenant.key, { grace_seconds: 86_400 });
    assert.equal(reply.status, 201, reply.text);
    for (const on of [api, elsewhere]) assert.equal((await me(tenant.key, on)).status, 200);
    assertError(await rotate(tenant.key, {}), 403, 'INSUFFICIENT_PERMISSIONS');
    const masters = async () => {
      const listed = await api.call('GET', '/clients/me/keys', { key: reply.body.data.key });
      return listed.body.data
        .filter((one: { is_master: boolean }) => one.is_master)
        .map((one: { id: string }) => one.id);
    };
    assert.deepEqual(await masters(), [reply.body.data.id]);
    const past = `UPDATE api_keys SET expires_at = now() - interval '1 second' WHERE client_id = $1 AND NOT is_master`;
    await api.database.query(past, [tenant.id]);
    const third = await startApi();
    try {
      const late = await me(tenant.key, third);
      assert.equal(late.status, 401, late.text);
    } finally {
      await third.stop();
    }
  });

  it('rotate once, however many ask at once', async () => {
    const tenant = await aTenant(api);
    const replies = await Promise.all(Array.from({ length: 10 }, () => rotate(tenant.key, { grace_seconds: 60 })));
    assert.equal(replies.filter((reply) => reply.status === 201).length, 1);
    for (const reply of replies) assert.ok([201, 403, 409].includes(reply.status), reply.text);
  });

  it('are refused by other processes within a second', () => {
    assert.ok(waits.length >= 4 && median(waits) < SOON_MS, `${waits.join(', ')} ms`);
  });
});
