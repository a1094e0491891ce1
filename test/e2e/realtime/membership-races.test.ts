import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { Channels, Sources, type ChangesSource, type RoomsSource } from '#libs/realtime';
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
import { inParallel, until } from '../../support/concurrency.js';
import { aSocket, closeSockets } from '../../support/sockets.js';

describe('Subscriptions that are answered while their room changes', () => {
  let api: TestApi;
  /** Another process, of which the first hears nothing. */
  let other: TestApi;
  let tenant: TestTenant;
  let anna: TestUser;
  let ben: TestUser;
  let sources: Sources;
  let rooms: RoomsSource;
  let changes: ChangesSource;
  before(async () => {
    [api, other] = [await startApi(), await startApi()];
    tenant = await aTenant(api);
    [anna, ben] = [await aUser(tenant), await aUser(tenant)];
    sources = api.app.get(Sources);
    ({ rooms, changes } = sources);
  });
  afterEach(() => {
    sources.provideRooms(rooms);
    sources.provideChanges(changes);
    closeSockets();
  });
  after(async () => {
    await api.stop();
    await other.stop();
  });

  /** Holds back the next answer of the changes feed; resolves with what lets it go once it has been read. */
  function holdChanges(): { read: () => boolean; open: () => void } {
    let [isRead, isHeld] = [false, true];
    let open!: () => void;
    const opened = new Promise<void>((resolve) => (open = resolve));
    sources.provideChanges({
      changes: async (...asked) => {
        const frames = await changes.changes(...asked);
        if (isHeld) {
          [isHeld, isRead] = [false, true];
          await opened;
        }
        return frames;
      },
    });
    return { read: () => isRead, open };
  }

  const post = (path: string, key: string, body: object) => api.call('POST', path, { key, body });

  it('who joins while a subscription is being refused hears the room from the joining on', async () => {
    const room = await aRoom(tenant, anna);
    const socket = await aSocket(api.url, 'websocket', ben.key);
    let open!: () => void;
    const opened = new Promise<void>((resolve) => (open = resolve));
    let refused = false;
    sources.provideRooms({
      ...rooms,
      requireAccess: (caller, roomId) =>
        rooms.requireAccess(caller, roomId).catch(async (error: unknown) => {
          refused = true;
          await opened;
          throw error;
        }),
    });
    const subscribing = socket.command('subscribe', { room_id: room });
    await until('the database has answered', () => refused);
    assert.equal((await post(`/rooms/${room}/join`, ben.key, {})).status, 201);
    open();
    assert.equal((await subscribing).error?.error_code, 'INSUFFICIENT_PERMISSIONS');
    const { seq } = await aMessage(tenant, anna, room);
    await socket.frame('message', (frame) => frame.seq === seq);
    assert.deepEqual(
      socket.changes(room).map((frame) => frame.type),
      ['user_joined', 'message'],
    );
  });

  it('who is removed and added again while a resume is being read goes on hearing the room', async () => {
    const room = await aRoom(tenant, anna, { member_ids: [ben.id] });
    const socket = await aSocket(api.url, 'websocket', ben.key);
    const held = holdChanges();
    const subscribing = socket.ask('subscribe', { room_id: room, after_seq: 0 });
    await until('the database has answered', held.read);
    await api.call('DELETE', `/rooms/${room}/members/${ben.id}`, { key: anna.key });
    assert.equal((await post(`/rooms/${room}/members`, anna.key, { user_ids: [ben.id] })).status, 201);
    held.open();
    const { seq } = await subscribing;
    const last = await aMessage(tenant, anna, room);
    await socket.frame('message', (frame) => frame.seq === last.seq);
    assert.deepEqual(
      socket.changes(room).map((frame) => [frame.seq, frame.type]),
      [
        [seq + 1, 'user_left'],
        [seq + 2, 'user_joined'],
        [seq + 3, 'message'],
      ],
    );
  });

  it('who is removed while a resume is being read is refused, and hears nothing of what is said then', async () => {
    const room = await aRoom(tenant, anna, { member_ids: [ben.id] });
    const socket = await aSocket(api.url, 'websocket', ben.key);
    const held = holdChanges();
    const subscribing = socket.command('subscribe', { room_id: room, after_seq: 0 });
    await until('the database has answered', held.read);
    await api.call('DELETE', `/rooms/${room}/members/${ben.id}`, { key: anna.key });
    await aMessage(tenant, anna, room, 'among us');
    held.open();
    assert.equal((await subscribing).error?.error_code, 'INSUFFICIENT_PERMISSIONS');
    // Whatever was to come has come before this.
    await socket.ask('ping');
    assert.deepEqual(
      socket.changes(room).map((frame) => frame.type),
      ['user_left'],
    );
  });

  it('a room that is heard and asked for anew, without a number, misses nothing', async () => {
    const room = await aRoom(tenant, anna, { member_ids: [ben.id] });
    const socket = await aSocket(api.url, 'websocket', ben.key);
    sources.provideRooms({
      ...rooms,
      requireAccess: async (caller, roomId) => {
        await rooms.requireAccess(caller, roomId);
        await aMessage(tenant, anna, room);
      },
    });
    const first = socket.ask('subscribe', { room_id: room });
    const { seq } = await socket.ask('subscribe', { room_id: room });
    assert.equal((await first).seq, seq);
    const last = await aMessage(tenant, anna, room);
    await socket.frame('message', (frame) => frame.seq === last.seq);
    assert.deepEqual(
      socket.changes(room).map((frame) => frame.seq),
      [seq + 1, seq + 2, seq + 3],
    );
  });

  it('who leaves and comes back in one breath hears the room, even if nobody else here does', async () => {
    const room = await aRoom(tenant, anna, { member_ids: [ben.id] });
    const socket = await aSocket(api.url, 'websocket', ben.key);
    const { seq } = await socket.ask('subscribe', { room_id: room });
    await other.call('DELETE', `/rooms/${room}/members/${ben.id}`, { key: anna.key });
    await other.call('POST', `/rooms/${room}/members`, { key: anna.key, body: { user_ids: [ben.id] } });
    const word = (type: string, number: number) => {
      const json = JSON.stringify({ type, room_id: room, seq: number, data: { user_id: ben.id }, timestamp: '' });
      return { type, seq: number, json, memberId: ben.id };
    };
    api.app.get(Channels).roomWord({
      kind: 'changes',
      clientId: tenant.id,
      roomId: room,
      frames: [word('user_left', seq + 1), word('user_joined', seq + 2)],
    });
    const last = await aMessage(tenant, anna, room);
    await socket.frame('message', (frame) => frame.seq === last.seq);
  });

  it('who is just resuming when more is missing than is filled is told to subscribe again', async () => {
    const room = await aRoom(tenant, anna, { member_ids: [ben.id] });
    const [socket, watcher] = [
      await aSocket(api.url, 'websocket', ben.key),
      await aSocket(api.url, 'websocket', anna.key),
    ];
    const held = holdChanges();
    const subscribing = socket.ask('subscribe', { room_id: room, after_seq: 0 });
    await until('the database has answered', held.read);
    await inParallel(Array.from({ length: 1_001 }), 32, () =>
      other.call('POST', '/messages', { key: anna.key, body: { room_id: room, content: 'm' } }),
    );
    // A hole: what is told now has a number far beyond.
    await aMessage(tenant, anna, room);
    await watcher.frame('resync');
    held.open();
    await subscribing;
    await socket.frame('resync');
  });
});
