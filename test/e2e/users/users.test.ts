import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { aMessage, aRoom, aTenant, aUser, startApi, type TestApi, type TestTenant } from '../../support/api.js';

describe('Users', () => {
  let api: TestApi;
  let tenant: TestTenant;
  before(async () => {
    api = await startApi();
    tenant = await aTenant(api);
  });
  after(() => api.stop());

  const login = (body: object) => api.call('POST', '/users/login', { key: tenant.key, body });
  const works = async (key: string) => (await api.call('GET', '/users/me', { key })).status;

  it('signs in by each identifier, and the older key is dead at once', async () => {
    const external_id = randomUUID();
    const user = await aUser(tenant, { external_id });
    let { key } = user;
    for (const body of [{ email: user.email.toUpperCase() }, { user_id: user.id }, { external_id }]) {
      const reply = await login(body);
      assert.deepEqual([reply.status, reply.body.data.user.id], [200, user.id]);
      assert.equal(await works(key), 401);
      key = reply.body.data.scoped_api_key;
      assert.equal(await works(key), 200);
    }
    assert.equal((await login({})).status, 422);
    assert.equal((await login({ user_id: user.id, external_id })).status, 422);
    assert.equal((await login({ user_id: randomUUID() })).status, 404);
    assert.equal((await api.call('POST', '/users/login', { key, body: { user_id: user.id } })).status, 403);
  });

  it('replaces the key of one device only, and all keys without a device', async () => {
    const user = await aUser(tenant);
    const on = async (device?: string) =>
      (await login({ user_id: user.id, device })).body.data.scoped_api_key as string;
    const [phone, desk] = [await on('phone'), await on('desk')];
    const phone2 = await on('phone');
    assert.deepEqual([await works(phone), await works(desk), await works(phone2)], [401, 200, 200]);
    const all = await on();
    assert.deepEqual([await works(desk), await works(phone2), await works(all)], [401, 401, 200]);
  });

  it('shuts an inactive user out, and lets it in again', async () => {
    const user = await aUser(tenant);
    const set = (is_active: boolean) => api.call('PUT', `/users/${user.id}`, { key: tenant.key, body: { is_active } });
    assert.equal((await set(false)).body.data.is_active, false);
    assert.equal(await works(user.key), 401);
    assert.equal((await login({ user_id: user.id })).status, 403);
    await set(true);
    assert.equal((await login({ user_id: user.id })).status, 200);
  });

  it('lets a user see and change itself, within bounds', async () => {
    const [user, other] = [await aUser(tenant), await aUser(tenant)];
    const put = (body: object, path = '/users/me') => api.call('PUT', path, { key: user.key, body });
    const changed = await put({ full_name: 'New Name', meta: { a: 1 } });
    assert.deepEqual([changed.body.data.full_name, changed.body.data.meta], ['New Name', { a: 1 }]);
    for (const body of [{ email: 'x@example.com' }, { external_id: 'x' }, { is_active: false }]) {
      assert.equal((await put(body)).status, 403);
    }
    assert.equal((await put({ full_name: 'x' }, `/users/${other.id}`)).status, 404);
    assert.equal((await api.call('GET', `/users/${other.id}`, { key: user.key })).status, 404);
    const taken = await put({ username: other.username });
    assert.deepEqual([taken.status, taken.body.errors[0].field], [409, 'username']);
    for (const [method, path] of [
      ['GET', '/users'],
      ['DELETE', `/users/${user.id}`],
      ['GET', '/rooms/all'],
      ['GET', '/clients/me'],
    ] as const) {
      assert.equal((await api.call(method, path, { key: user.key })).status, 403, path);
    }
  });

  it('are walked by cursor whatever the longest addresses are written in', async () => {
    const own = await aTenant(api);
    const domain = `@${'字'.repeat(60)}.${'字'.repeat(60)}.${'字'.repeat(60)}.${'字'.repeat(8)}`;
    const users = [];
    for (const first of ['甲', '乙']) {
      users.push(await aUser(own, { email: first + '字'.repeat(253 - domain.length) + domain }));
    }
    assert.equal(users[0]!.email.length, 254);
    const list = (query: string) => api.call('GET', `/users?sort=email&size=1${query}`, { key: own.key });
    const first = (await list('')).body;
    const second = await list(`&cursor=${first.pagination.next_cursor}`);
    assert.equal(second.status, 200, second.text);
    assert.deepEqual([first.data[0].id, second.body.data[0].id].sort(), users.map((user) => user.id).sort());
  });

  it('finds users by the start of a name, and by being active', async () => {
    const start = randomUUID();
    const user = await aUser(tenant, { full_name: `${start} Smith` });
    const find = async (query: string) =>
      (await api.call('GET', `/users?${query}`, { key: tenant.key })).body.data.map(
        (found: { id: string }) => found.id,
      );
    for (const search of [start.toUpperCase(), user.username, user.email]) {
      assert.deepEqual(await find(`search=${encodeURIComponent(search)}`), [user.id]);
    }
    const greek = await aUser(tenant, { full_name: `ΝΙΚΟΣ ${start}` });
    assert.deepEqual(await find(`search=${encodeURIComponent(`ΝΙΚΟΣ ${start}`)}`), [greek.id]);
    assert.deepEqual(await find('search=Smith'), []);
    assert.deepEqual(await find(`search=${start}&is_active=false`), []);
  });

  it('deletes: keys die, memberships end, personal fields go, messages stay', async () => {
    const [user, owner] = [await aUser(tenant, { full_name: 'Gone Soon' }), await aUser(tenant)];
    const room = await aRoom(tenant, owner, { member_ids: [user.id] });
    const message = await aMessage(tenant, user, room, 'I was here');
    const remove = () => api.call('DELETE', `/users/${user.id}`, { key: tenant.key });
    assert.equal((await remove()).status, 204);
    assert.equal(await works(user.key), 401);
    assert.equal((await remove()).status, 404);
    assert.equal((await login({ user_id: user.id })).status, 404);
    const left = (await api.call('GET', `/messages/${message.id}`, { key: owner.key })).body.data;
    assert.deepEqual([left.content, left.sender_id, left.sender_name], ['I was here', user.id, 'Deleted user']);
    assert.equal((await api.call('GET', `/rooms/${room}`, { key: owner.key })).body.data.member_count, 1);
    const [row] = await api.database.query('SELECT email, username, full_name, meta FROM users WHERE id = $1', [
      user.id,
    ]);
    assert.deepEqual(row, { email: null, username: null, full_name: null, meta: {} });
    await aUser(tenant, { email: user.email, username: user.username });
  });
});
