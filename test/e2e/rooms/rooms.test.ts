import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { aRoom, aTenant, aUser, startApi, type TestApi, type TestTenant, type TestUser } from '../../support/api.js';

describe('Rooms', () => {
  let api: TestApi;
  let tenant: TestTenant;
  let owner: TestUser;
  let user: TestUser;
  before(async () => {
    api = await startApi();
    tenant = await aTenant(api);
    [owner, user] = [await aUser(tenant), await aUser(tenant)];
  });
  after(() => api.stop());

  const status = async (method: string, path: string, key: string, body?: object) =>
    (await api.call(method, path, { key, body })).status;

  it('goes through its life: made, changed, erased', async () => {
    const id = await aRoom(tenant, owner, { description: 'd', meta: { a: 1 }, member_ids: [user.id] });
    const made = (await api.call('GET', `/rooms/${id}`, { key: owner.key })).body.data;
    assert.deepEqual(
      [made.room_type, made.visibility, made.max_members, made.member_count, made.role, made.created_by],
      ['group', 'public', 100, 2, 'owner', owner.id],
    );
    assert.equal(await status('PUT', `/rooms/${id}`, user.key, { name: 'mine' }), 403);
    const changed = await api.call('PUT', `/rooms/${id}`, { key: owner.key, body: { name: 'New', max_members: 2 } });
    assert.deepEqual([changed.body.data.name, changed.body.data.max_members], ['New', 2]);
    const third = await aUser(tenant);
    assert.equal(await status('POST', `/rooms/${id}/join`, third.key, {}), 409);
    assert.equal(await status('DELETE', `/rooms/${id}`, user.key), 403);
    assert.equal(await status('DELETE', `/rooms/${id}`, owner.key), 204);
    assert.equal(await status('GET', `/rooms/${id}`, tenant.key), 404);
  });

  it('opens public rooms to all and private ones to who is added; who left comes back', async () => {
    const open = await aRoom(tenant, owner);
    const closed = await aRoom(tenant, owner, { visibility: 'private' });
    assert.equal(await status('GET', `/rooms/${open}`, user.key), 403);
    assert.equal(await status('POST', `/rooms/${open}/join`, user.key, {}), 201);
    assert.equal(await status('POST', `/rooms/${open}/join`, user.key, {}), 200);
    assert.equal(await status('POST', `/rooms/${open}/leave`, user.key, {}), 200);
    assert.equal(await status('POST', `/rooms/${open}/leave`, user.key, {}), 404);
    assert.equal(await status('POST', `/rooms/${open}/join`, user.key, {}), 201);
    assert.equal(await status('POST', `/rooms/${closed}/join`, user.key, {}), 403);
    assert.equal(await status('POST', `/rooms/${closed}/members`, owner.key, { user_ids: [user.id] }), 201);
    assert.equal(await status('GET', `/rooms/${closed}`, user.key), 200);
    assert.equal(await status('DELETE', `/rooms/${closed}/members/${user.id}`, owner.key), 204);
    assert.equal(await status('GET', `/rooms/${closed}`, user.key), 403);
  });

  it('has direct rooms of exactly two, one per pair', async () => {
    const direct = (body: object) =>
      api.call('POST', '/rooms', { key: owner.key, body: { room_type: 'direct', ...body } });
    const first = await direct({ member_ids: [user.id] });
    const again = await direct({ member_ids: [user.id] });
    assert.deepEqual([first.status, again.status, again.body.data.id], [201, 200, first.body.data.id]);
    assert.deepEqual(
      [first.body.data.name, first.body.data.visibility, first.body.data.max_members],
      [null, 'private', 2],
    );
    for (const body of [
      {},
      { member_ids: [owner.id] },
      { member_ids: [user.id], name: 'x' },
      { member_ids: [user.id], max_members: 3 },
    ]) {
      assert.equal((await direct(body)).status, 422, JSON.stringify(body));
    }
    assert.equal((await direct({ member_ids: [randomUUID()] })).status, 404);
  });

  it('brings back who has left a direct room when either asks for it again, and keeps the seats for the two', async () => {
    const [a, b, other] = [await aUser(tenant), await aUser(tenant), await aUser(tenant)];
    const ask = (from: TestUser, to: TestUser) =>
      api.call('POST', '/rooms', { key: from.key, body: { room_type: 'direct', member_ids: [to.id] } });
    const { id } = (await ask(a, b)).body.data;
    const add = (user: TestUser) => status('POST', `/rooms/${id}/members`, tenant.key, { user_ids: [user.id] });
    const join = (user: TestUser) => status('POST', `/rooms/${id}/join`, tenant.key, { user_id: user.id });
    const send = (user: TestUser) => status('POST', '/messages', user.key, { room_id: id, content: 'hello' });
    const leave = (user: TestUser) => status('POST', `/rooms/${id}/leave`, user.key, {});
    for (const leaving of [[b], [a], [a, b]]) {
      for (const user of leaving) assert.equal(await leave(user), 200);
      assert.deepEqual([await add(other), await join(other)], [409, 409]);
      const again = await ask(b, a);
      assert.deepEqual([again.status, again.body.data.id, again.body.data.member_count], [200, id, 2]);
      assert.deepEqual([await send(a), await send(b)], [201, 201]);
    }
    const owners = await api.call('GET', `/rooms/${id}/members?role=owner`, { key: tenant.key });
    assert.equal(owners.body.pagination.total, 1);
    assert.equal(await leave(a), 200);
    assert.equal(await add(a), 201);
  });

  it('knows users by their ids in capitals too', async () => {
    const id = user.id.toUpperCase();
    assert.equal(await status('POST', '/rooms', user.key, { name: 'Own', owner_id: id }), 201);
    assert.equal(await status('GET', `/rooms?user_id=${id}`, user.key), 200);
  });

  it('makes nobody an owner when somebody leaves a room that has none', async () => {
    const [leaving, removed, deleted] = [await aUser(tenant), await aUser(tenant), await aUser(tenant)];
    const member_ids = [user.id, leaving.id, removed.id, deleted.id];
    const made = await api.call('POST', '/rooms', { key: tenant.key, body: { name: 'Ownerless', member_ids } });
    const { id } = made.body.data;
    assert.equal(await status('POST', `/rooms/${id}/leave`, leaving.key, {}), 200);
    assert.equal(await status('DELETE', `/rooms/${id}/members/${removed.id}`, tenant.key), 204);
    assert.equal(await status('DELETE', `/users/${deleted.id}`, tenant.key), 204);
    const { body } = await api.call('GET', `/rooms/${id}/members`, { key: user.key });
    assert.deepEqual(
      body.data.map((member: { user_id: string; role: string }) => [member.user_id, member.role]),
      [[user.id, 'member']],
    );
    assert.equal(await status('DELETE', `/rooms/${id}`, user.key), 403);
  });

  it('lets admins manage members but not owners, and keeps an owner', async () => {
    const admin = await aUser(tenant);
    const id = await aRoom(tenant, owner, { member_ids: [admin.id, user.id] });
    const role = (key: string, of: TestUser, name: string) =>
      status('PUT', `/rooms/${id}/members/${of.id}`, key, { role: name });
    assert.equal(await role(user.key, user, 'admin'), 403);
    assert.equal(await role(owner.key, admin, 'admin'), 200);
    assert.equal(await role(admin.key, admin, 'owner'), 403);
    assert.equal(await role(admin.key, owner, 'member'), 403);
    assert.equal(await status('DELETE', `/rooms/${id}/members/${owner.id}`, admin.key), 403);
    assert.equal(await role(admin.key, user, 'admin'), 200);
    assert.equal(await status('POST', `/rooms/${id}/leave`, owner.key, {}), 200);
    const owners = await api.call('GET', `/rooms/${id}/members?role=owner`, { key: tenant.key });
    assert.equal(owners.body.pagination.total, 1);
  });

  it('lists own rooms to a user, and all or one user’s to the client', async () => {
    const [a, b] = [await aUser(tenant), await aUser(tenant)];
    const name = randomUUID();
    const [mine, both] = [
      await aRoom(tenant, a, { name }),
      await aRoom(tenant, b, { name, room_type: 'channel', member_ids: [a.id] }),
    ];
    const ids = async (path: string, key: string) =>
      (await api.call('GET', path, { key })).body.data.map((found: { id: string }) => found.id).sort();
    assert.deepEqual(await ids('/rooms', a.key), [mine, both].sort());
    assert.deepEqual(await ids('/rooms', b.key), [both]);
    assert.deepEqual(await ids(`/rooms?user_id=${b.id}`, tenant.key), [both]);
    assert.deepEqual(await ids(`/rooms/all?search=${name}`, tenant.key), [mine, both].sort());
    assert.deepEqual(await ids(`/rooms?search=${name}&room_type=channel`, tenant.key), [both]);
    assert.equal(await status('GET', `/rooms?user_id=${b.id}`, a.key), 403);
  });
});
