import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { aNotification, aRoom, aUser, startApi, type TestApi } from '../../support/api.js';
import { startNotifier, untilStatus, type Notifier } from '../../support/notifier.js';
import { aSocket, closeSockets, WAYS } from '../../support/sockets.js';

describe('A socket notification, with somebody online', () => {
  let notifier: Notifier;
  before(async () => {
    notifier = await startNotifier();
  });
  after(async () => {
    closeSockets();
    await notifier.stop();
  });

  const tell = (fields: object) => aNotification(notifier.tenant, { type: 'websocket', content: 'hello', ...fields });
  const told = (socket: { frames: { type: string; data: { id: string } }[] }, id: string) =>
    socket.frames.filter((frame) => frame.type === 'notification' && frame.data.id === id).length;

  for (const way of WAYS) {
    it(`is a frame over ${way}, and no mail`, async () => {
      const [jane, john] = [await aUser(notifier.tenant), await aUser(notifier.tenant)];
      const socket = await aSocket(notifier.api.url, way, jane.key);
      const meta = { action_url: 'https://example.com/1', icon: 'bell' };
      const fields = { user_ids: [jane.id, john.id], subject: 'Title', priority: 'urgent', meta };
      const email_fallback = { to_email: `${way}@example.com`, subject: 'Missed' };
      const created = await tell({ ...fields, email_fallback });
      const frame = await socket.frame('notification', ({ data }) => data.id === created.id);
      assert.deepEqual(frame.data, {
        id: created.id,
        title: 'Title',
        content: 'hello',
        action_url: 'https://example.com/1',
        priority: 'urgent',
        icon: 'bell',
        meta,
      });
      const sent = await untilStatus(notifier.tenant, created.id, 'sent');
      assert.deepEqual(
        sent.deliveries.map((one: { attempts: { provider_name: string }[] }) => one.attempts[0]!.provider_name),
        ['socket', 'inbox'],
      );
      assert.equal(sent.recipients.total, 2);
      assert.equal(notifier.smtp.to(`${way}@example.com`).length, 0);
      socket.close();
    });
  }

  it('to a room and one of its members reaches that member once, and no stranger', async () => {
    const [owner, member, stranger] = await Promise.all([1, 2, 3].map(() => aUser(notifier.tenant)));
    const room = await aRoom(notifier.tenant, owner!, { member_ids: [member!.id] });
    const { url } = notifier.api;
    const sockets = await Promise.all([owner!, member!, stranger!].map((user) => aSocket(url, 'websocket', user.key)));
    const created = await tell({ room_id: room, user_ids: [member!.id] });
    const sent = await untilStatus(notifier.tenant, created.id, 'sent');
    assert.deepEqual(
      sent.deliveries.map((one: { attempts: { provider_name: string }[] }) => one.attempts[0]!.provider_name),
      ['socket', 'socket'],
    );
    // What is told later arrives later: once it is there, whatever was to come before it has come.
    const last = await tell({ user_ids: [owner!.id, member!.id, stranger!.id] });
    for (const socket of sockets) await socket.frame('notification', ({ data }) => data.id === last.id);
    assert.deepEqual(
      sockets.map((socket) => told(socket, created.id)),
      [1, 1, 0],
    );
  });

  it('to a room and one of its members reaches that member where it does not want to hear the room, too', async () => {
    const [owner, member] = await Promise.all([1, 2].map(() => aUser(notifier.tenant)));
    const room = await aRoom(notifier.tenant, owner!, { member_ids: [member!.id] });
    const { url } = notifier.api;
    const [deaf, hearing] = [
      await aSocket(url, 'websocket', member!.key),
      await aSocket(url, 'websocket', member!.key),
    ];
    await deaf.ask('unsubscribe', { room_id: room });
    const created = await tell({ room_id: room, user_ids: [member!.id] });
    await untilStatus(notifier.tenant, created.id, 'sent');
    const last = await tell({ user_ids: [member!.id] });
    for (const socket of [deaf, hearing]) await socket.frame('notification', ({ data }) => data.id === last.id);
    assert.deepEqual([told(deaf, created.id), told(hearing, created.id)], [1, 1]);
  });

  const redisUrl = process.env['TEST_REDIS_URL'];
  it('reaches a socket on another process', { skip: redisUrl ? false : 'redis-server is not installed' }, async () => {
    const shared = await startNotifier({ REDIS_URL: redisUrl! });
    let other: TestApi | undefined;
    try {
      other = await startApi({ ...shared.env, JOBS: 'off' }, shared.databaseUrl);
      const user = await aUser(shared.tenant);
      const socket = await aSocket(other.url, 'websocket', user.key);
      const email_fallback = { to_email: 'fallback@example.com', subject: 'Missed' };
      const created = await aNotification(shared.tenant, {
        type: 'websocket',
        content: 'hello',
        user_ids: [user.id],
        email_fallback,
      });
      await socket.frame('notification', ({ data }) => data.id === created.id);
      const sent = await untilStatus(shared.tenant, created.id, 'sent');
      assert.equal(sent.deliveries[0].attempts[0].provider_name, 'socket');
      assert.equal(sent.recipients.total, 1);
      socket.close();
    } finally {
      await other?.stop();
      await shared.stop();
    }
  });
});
