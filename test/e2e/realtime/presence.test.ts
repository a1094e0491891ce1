import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { Sources, Timings } from '#libs/realtime';
import { aRoom, aTenant, aUser, startApi, type TestApi, type TestTenant, type TestUser } from '../../support/api.js';
import { until } from '../../support/concurrency.js';
import { aSocket, closeSockets, WAYS, type TestSocket } from '../../support/sockets.js';

for (const way of WAYS) {
  describe(`Presence and typing over ${way}`, () => {
    let api: TestApi;
    let tenant: TestTenant;
    let anna: TestUser;
    let ben: TestUser;
    let room: string;
    before(async () => {
      api = await startApi();
      Object.assign(api.app.get(Timings), { offlineGraceMs: 150, typingMs: 150 });
      tenant = await aTenant(api);
    });
    afterEach(closeSockets);
    after(() => api.stop());

    /** Two users of a room of their own, so that nobody of another test is still leaving. */
    async function pair(): Promise<void> {
      [anna, ben] = [await aUser(tenant, { full_name: 'Anna' }), await aUser(tenant)];
      room = await aRoom(tenant, anna, { member_ids: [ben.id] });
    }

    const told = (socket: TestSocket, type: string) => socket.frames.filter((frame) => frame.type === type);
    const online = async () => (await api.call('GET', `/rooms/${room}/online`, { key: anna.key })).body.data;

    it('online with the first of several sockets, offline once after the last and the grace', async () => {
      await pair();
      const watcher = await aSocket(api.url, way, anna.key);
      assert.deepEqual(watcher.frames[0]!.data.online_users, [anna.id]);
      const [one, two] = [await aSocket(api.url, way, ben.key), await aSocket(api.url, way, ben.key)];
      assert.deepEqual(one.frames[0]!.data.online_users, [anna.id, ben.id].sort());
      await watcher.frame('presence', (frame) => frame.data.status === 'online');
      assert.deepEqual(await online(), { online_users: [anna.id, ben.id].sort(), total_online: 2 });
      assert.deepEqual(await watcher.ask('get_online_users', { room_id: room }), await online());
      one.close();
      two.close();
      const { data } = await watcher.frame('presence', (frame) => frame.data.status === 'offline');
      assert.equal(data.user_id, ben.id);
      assert.deepEqual(await online(), { online_users: [anna.id], total_online: 1 });
      assert.equal(told(watcher, 'presence').length, 2);
      const { body } = await api.call('GET', `/users/${ben.id}`, { key: tenant.key });
      assert.equal(body.data.last_seen_at, data.last_seen_at);
    });

    it('says nothing when the user is back within the grace', async () => {
      await pair();
      // Long enough to be back on a slow machine; then as long as is waited for here.
      const timings = api.app.get(Timings);
      const { offlineGraceMs } = timings;
      timings.offlineGraceMs = 2_000;
      const watcher = await aSocket(api.url, way, anna.key);
      const first = await aSocket(api.url, way, ben.key);
      await watcher.frame('presence');
      first.close();
      const second = await aSocket(api.url, way, ben.key);
      timings.offlineGraceMs = offlineGraceMs;
      const end = Date.now() + 2_500;
      await until('more than the grace', () => Date.now() > end);
      assert.equal(told(watcher, 'presence').length, 1);
      assert.equal((await online()).total_online, 2);
      second.close();
    });

    it('who comes back while its going is being looked up is not said to be gone', async () => {
      await pair();
      const watcher = await aSocket(api.url, way, anna.key);
      const first = await aSocket(api.url, way, ben.key);
      await watcher.frame('presence');
      const sources = api.app.get(Sources);
      const { rooms } = sources;
      let open!: () => void;
      const opened = new Promise<void>((resolve) => (open = resolve));
      let asked = 0;
      sources.provideRooms({
        ...rooms,
        roomsOf: async (...of) => {
          const found = await rooms.roomsOf(...of);
          if (of[1].includes(ben.id) && asked++ === 0) await opened;
          return found;
        },
      });
      first.close();
      await until('its rooms are asked for', () => asked > 0);
      await aSocket(api.url, way, ben.key);
      open();
      // Whatever was to come has come before this.
      await watcher.ask('ping');
      assert.equal(told(watcher, 'presence').at(-1)!.data.status, 'online');
      assert.equal((await online()).total_online, 2);
      sources.provideRooms(rooms);
    });

    it('is told to nobody who shares no room, and never to oneself', async () => {
      await pair();
      const stranger = await aUser(tenant);
      await aRoom(tenant, stranger);
      const [own, other] = [await aSocket(api.url, way, ben.key), await aSocket(api.url, way, stranger.key)];
      const watcher = await aSocket(api.url, way, anna.key);
      await own.frame('presence', (frame) => frame.data.user_id === anna.id);
      await Promise.all([other.ask('ping'), watcher.ask('ping')]);
      assert.equal(told(other, 'presence').length, 0);
      assert.equal(told(watcher, 'presence').length, 0);
    });

    it('typing goes to the others, never to its sender, and ends by itself once', async () => {
      await pair();
      const [one, again, two] = [
        await aSocket(api.url, way, anna.key),
        await aSocket(api.url, way, anna.key),
        await aSocket(api.url, way, ben.key),
      ];
      await one.ask('typing', { room_id: room, is_typing: true });
      const { data } = await two.frame('typing');
      assert.deepEqual(data, { user_id: anna.id, user_name: 'Anna', is_typing: true });
      await two.frame('typing', (frame) => frame.data.is_typing === false);
      await one.ask('typing', { room_id: room, is_typing: false });
      await Promise.all([one, again, two].map((socket) => socket.ask('ping')));
      assert.equal(told(two, 'typing').length, 2);
      assert.equal(told(one, 'typing').length + told(again, 'typing').length, 0);
    });

    it('typing needs membership and a user', async () => {
      await pair();
      const stranger = await aSocket(api.url, way, (await aUser(tenant)).key);
      const client = await aSocket(api.url, way, tenant.key);
      for (const socket of [stranger, client]) {
        const { error } = await socket.command('typing', { room_id: room, is_typing: true });
        assert.equal(error?.error_code, 'INSUFFICIENT_PERMISSIONS');
      }
    });

    it('answers who is online as REST does for those who may not know', async () => {
      await pair();
      const stranger = await aUser(tenant);
      const { status, body } = await api.call('GET', `/rooms/${room}/online`, { key: stranger.key });
      assert.equal(status, 403);
      const socket = await aSocket(api.url, way, stranger.key);
      const { error } = await socket.command('get_online_users', { room_id: room });
      assert.equal(error?.error_code, body.error_code);
    });
  });
}
