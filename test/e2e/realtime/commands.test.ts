import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
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
import { aSocket, closeSockets, WAYS, type TestSocket } from '../../support/sockets.js';

for (const way of WAYS) {
  describe(`Commands and frames over ${way}`, () => {
    let api: TestApi;
    let tenant: TestTenant;
    let anna: TestUser;
    let ben: TestUser;
    let room: string;
    before(async () => {
      api = await startApi();
      tenant = await aTenant(api);
      [anna, ben] = [await aUser(tenant, { full_name: 'Anna' }), await aUser(tenant)];
      room = await aRoom(tenant, anna, { member_ids: [ben.id] });
    });
    afterEach(closeSockets);
    after(() => api.stop());

    const socketOf = (user: TestUser): Promise<TestSocket> => aSocket(api.url, way, user.key);

    it('greets with the rooms and how far each is', async () => {
      await aMessage(tenant, anna, room);
      const { body } = await api.call('GET', `/rooms/${room}`, { key: anna.key });
      const socket = await socketOf(anna);
      const { data } = socket.frames[0]!;
      assert.equal(data.status, 'connected');
      assert.equal(data.user_id, anna.id);
      assert.deepEqual(data.rooms, [{ room_id: room, seq: body.data.seq }]);
      assert.deepEqual(data.online_users, [anna.id]);
    });

    it('sends a message; the others and the sender hear it, once', async () => {
      const [one, two] = [await socketOf(anna), await socketOf(ben)];
      const sent = await one.ask('send_message', { room_id: room, content: 'hi', client_message_id: 'c1' });
      assert.equal(sent.content, 'hi');
      assert.equal(sent.sender_id, anna.id);
      for (const socket of [one, two]) {
        const frame = await socket.frame('message', (f) => f.data.id === sent.id);
        assert.deepEqual(frame.data, sent);
        assert.equal(frame.seq, sent.seq);
        assert.equal(frame.room_id, room);
      }
      const again = await one.ask('send_message', { room_id: room, content: 'hi', client_message_id: 'c1' });
      assert.equal(again.id, sent.id);
      await one.ask('ping');
      assert.equal(two.changes(room).length, 1);
    });

    it('edits and deletes a message', async () => {
      const [one, two] = [await socketOf(anna), await socketOf(ben)];
      const { id } = await one.ask('send_message', { room_id: room, content: 'helo' });
      const edited = await one.ask('edit_message', { message_id: id, content: 'hello', edit_reason: 'typo' });
      assert.equal(edited.content, 'hello');
      assert.deepEqual((await two.frame('message_updated')).data, edited);
      assert.deepEqual(await one.ask('delete_message', { message_id: id }), { message_id: id });
      const { data } = await two.frame('message_deleted');
      assert.equal(data.id, id);
      assert.equal(data.deleted_by, anna.id);
    });

    it('answers ping with pong', async () => {
      const socket = await socketOf(anna);
      await socket.ask('ping');
      await socket.frame('pong');
    });

    it('moves the read cursor and tells the others', async () => {
      const [one, two] = [await socketOf(anna), await socketOf(ben)];
      const { seq } = await one.ask('send_message', { room_id: room, content: 'read me' });
      const state = await two.ask('mark_read', { room_id: room, seq });
      assert.equal(state.last_read_seq, seq);
      assert.deepEqual((await one.frame('read')).data, { user_id: ben.id, seq });
    });

    it('refuses as REST does, naming the field', async () => {
      const socket = await socketOf(anna);
      const bad = await socket.command('send_message', { room_id: room, content: '' });
      assert.equal(bad.error?.error_code, 'VALIDATION_ERROR');
      assert.equal(bad.error.errors?.[0]?.field, 'content');
      const unknown = await socket.command('send_message', {
        room_id: '0198c0de-1111-7000-8000-000000000001',
        content: 'x',
      });
      assert.equal(unknown.error?.error_code, 'RESOURCE_NOT_FOUND');
      const nonsense = await socket.command('make_coffee', {});
      assert.equal(nonsense.error?.error_code, 'BAD_REQUEST');
      assert.equal((await socket.command('subscribe', {})).error?.error_code, 'VALIDATION_ERROR');
    });

    it('resumes: subscribe with after_seq answers what came after', async () => {
      const first = await aMessage(tenant, anna, room, 'one');
      const second = await aMessage(tenant, anna, room, 'two');
      const socket = await socketOf(ben);
      const reply = await socket.ask('subscribe', { room_id: room, after_seq: first.seq });
      assert.equal(reply.recovered, true);
      assert.equal(reply.seq, second.seq);
      assert.deepEqual(
        reply.frames.map((frame: { data: { id: string } }) => frame.data.id),
        [second.id],
      );
      const third = await aMessage(tenant, anna, room, 'three');
      await socket.frame('message', (f) => f.data.id === third.id);
      assert.deepEqual(
        socket.changes(room).map((f) => f.seq),
        [third.seq],
      );
    });

    it('stops hearing a room after unsubscribe', async () => {
      const [one, two] = [await socketOf(anna), await socketOf(ben)];
      await two.ask('unsubscribe', { room_id: room });
      await one.ask('send_message', { room_id: room, content: 'psst' });
      await one.frame('message');
      await two.ask('ping');
      assert.equal(two.changes(room).length, 0);
    });

    it('hears a room joined later at once, and nothing of a room left', async () => {
      const carl = await aUser(tenant);
      const socket = await socketOf(carl);
      assert.deepEqual(socket.frames[0]!.data.rooms, []);
      await api.call('POST', `/rooms/${room}/join`, { key: carl.key, body: {} });
      const joined = await socket.frame('user_joined');
      assert.equal(joined.data.user_id, carl.id);
      const message = await aMessage(tenant, anna, room, 'welcome');
      await socket.frame('message', (f) => f.data.id === message.id);
      await api.call('DELETE', `/rooms/${room}/members/${carl.id}`, { key: anna.key });
      const left = await socket.frame('user_left');
      assert.equal(left.data.reason, 'removed');
      await aMessage(tenant, anna, room, 'after');
      await socket.ask('ping');
      assert.equal(socket.changes(room).at(-1), left);
    });

    it('serves a client key: subscribed to nothing until it asks, acting as the client', async () => {
      const socket = await aSocket(api.url, way, tenant.key);
      assert.deepEqual(socket.frames[0]!.data.rooms, []);
      assert.equal(socket.frames[0]!.data.user_id, null);
      await socket.ask('subscribe', { room_id: room });
      const sent = await socket.ask('send_message', { room_id: room, content: 'from us' });
      assert.equal(sent.sender_id, null);
      await socket.frame('message', (f) => f.data.id === sent.id);
      await api.call('DELETE', `/messages/${sent.id}`, { key: tenant.key });
      await socket.frame('message_deleted');
    });
  });
}
