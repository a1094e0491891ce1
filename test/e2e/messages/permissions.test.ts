import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import {
  aMessage,
  aRoom,
  aTenant,
  aUser,
  startApi,
  type TestApi,
  type TestTenant,
  type TestUser,
} from '../../support/api.js';

describe('Who may do what with messages', () => {
  let api: TestApi;
  let tenant: TestTenant;
  let owner: TestUser;
  let admin: TestUser;
  let member: TestUser;
  let stranger: TestUser;
  let room: string;
  before(async () => {
    api = await startApi();
    tenant = await aTenant(api);
    [owner, admin, member, stranger] = await Promise.all([aUser(tenant), aUser(tenant), aUser(tenant), aUser(tenant)]);
    room = await aRoom(tenant, owner, { member_ids: [admin.id, member.id] });
    await api.call('PUT', `/rooms/${room}/members/${admin.id}`, { key: owner.key, body: { role: 'admin' } });
  });
  after(() => api.stop());

  const send = (key: string, fields: Record<string, unknown> = {}) =>
    api.call('POST', '/messages', { key, body: { room_id: room, content: 'hi', ...fields } });

  it('lets members and the client send and read, and nobody else', async () => {
    for (const key of [owner.key, admin.key, member.key, tenant.key]) {
      assert.equal((await send(key)).status, 201);
      assert.equal((await api.call('GET', `/messages?room_id=${room}`, { key })).status, 200);
      assert.equal((await api.call('GET', `/rooms/${room}/changes`, { key })).status, 200);
    }
    const message = await aMessage(tenant, owner, room);
    for (const [method, path] of [
      ['GET', `/messages?room_id=${room}`],
      ['GET', `/messages/${message.id}`],
      ['GET', `/rooms/${room}/changes`],
      ['DELETE', `/messages/${message.id}`],
    ] as const) {
      const reply = await api.call(method, path, { key: stranger.key });
      assert.deepEqual([reply.status, reply.body.error_code], [403, 'INSUFFICIENT_PERMISSIONS'], `${method} ${path}`);
    }
    assert.equal((await send(stranger.key)).status, 403);
    const edit = await api.call('PUT', `/messages/${message.id}`, { key: stranger.key, body: { content: 'x' } });
    assert.equal(edit.status, 403);
    assert.deepEqual((await api.call('GET', '/messages', { key: stranger.key })).body.data, []);
  });

  it('lets the sender and the client edit, not even the owner', async () => {
    const message = await aMessage(tenant, member, room);
    const statuses: number[] = [];
    for (const key of [owner.key, admin.key, member.key, tenant.key]) {
      statuses.push((await api.call('PUT', `/messages/${message.id}`, { key, body: { content: 'edited' } })).status);
    }
    assert.deepEqual(statuses, [403, 403, 200, 200]);
  });

  it('lets the sender, owner, admin and client delete', async () => {
    for (const key of [member.key, owner.key, admin.key, tenant.key]) {
      const message = await aMessage(tenant, member, room);
      assert.equal((await api.call('DELETE', `/messages/${message.id}`, { key })).status, 204);
    }
    const ofOwner = await aMessage(tenant, owner, room);
    assert.equal((await api.call('DELETE', `/messages/${ofOwner.id}`, { key: member.key })).status, 403);
  });

  it('keeps system messages and sender_id for the client', async () => {
    assert.equal((await send(member.key, { message_type: 'system' })).status, 403);
    assert.equal((await send(tenant.key, { message_type: 'system' })).status, 201);
    assert.equal((await send(member.key, { sender_id: owner.id })).status, 403);
    assert.equal((await send(member.key, { sender_id: member.id })).status, 201);
    const asUser = await send(tenant.key, { sender_id: stranger.id });
    assert.deepEqual([asUser.status, asUser.body.data.sender_id], [201, stranger.id]);
    const asClient = await send(tenant.key);
    assert.deepEqual([asClient.body.data.sender_id, asClient.body.data.sender_name], [null, tenant.name]);
    assert.equal((await send(tenant.key, { sender_id: randomUUID() })).status, 404);
    const resting = await aUser(tenant);
    await api.call('PUT', `/users/${resting.id}`, { key: tenant.key, body: { is_active: false } });
    assert.equal((await send(tenant.key, { sender_id: resting.id })).status, 403, 'there is such a user');
    assert.equal((await api.call('GET', '/messages?include_deleted=true', { key: member.key })).status, 403);
  });

  it('answers only messages of the same room', async () => {
    const here = await aMessage(tenant, member, room);
    const elsewhere = await aMessage(tenant, owner, await aRoom(tenant, owner));
    assert.equal((await send(member.key, { reply_to: here.id })).body.data.reply_to, here.id);
    assert.equal((await send(member.key, { reply_to: elsewhere.id })).status, 404);
    assert.equal((await send(member.key, { reply_to: randomUUID() })).status, 404);
  });

  it('never shows one tenant to another', async () => {
    const other = await aTenant(api);
    const message = await aMessage(tenant, member, room);
    for (const path of [`/messages/${message.id}`, `/messages?room_id=${room}`, `/rooms/${room}/changes`]) {
      assert.equal((await api.call('GET', path, { key: other.key })).status, 404, path);
    }
    assert.equal((await send(other.key)).status, 404);
    assert.equal((await api.call('DELETE', `/messages/${message.id}`, { key: other.key })).status, 404);
  });
});
