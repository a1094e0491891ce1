import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { aMessage, aRoom, aTenant, aUser, startApi, type TestApi, type TestTenant } from '../../support/api.js';
import { median } from '../../support/concurrency.js';
import { aSocket, closeSockets, connect, WAYS } from '../../support/sockets.js';

/** The contract's, which most must keep; a starved machine may be late with some of them. */
const SOON_MS = 1_000;
const LATE_MS = 20_000;

for (const way of WAYS) {
  describe(`Authority is live over ${way}`, () => {
    // Two processes' worth of application on one database: what one does, the other's sockets feel.
    let here: TestApi;
    let there: TestApi;
    let tenant: TestTenant;
    before(async () => {
      [here, there] = [await startApi(), await startApi()];
      tenant = await aTenant(here);
    });
    afterEach(closeSockets);
    after(() => Promise.all([here.stop(), there.stop()]));

    const waits: number[] = [];
    const timed = async (work: () => Promise<unknown>): Promise<void> => {
      const start = Date.now();
      await work();
      const wait = Date.now() - start;
      assert.ok(wait < LATE_MS, `took ${wait} ms`);
      waits.push(wait);
    };

    it('refuses a key that is none', async () => {
      assert.deepEqual(await connect(here.url, way, { token: 'nonsense' }).ended(), { code: 4001 });
    });

    it('ends the sockets of a key that a login replaced, and of no other device', async () => {
      const user = await aUser(tenant);
      const login = (device: string) =>
        here.call('POST', '/users/login', { key: tenant.key, body: { user_id: user.id, device } });
      const phone = await aSocket(there.url, way, (await login('phone')).body.data.scoped_api_key);
      const desk = await aSocket(there.url, way, (await login('desk')).body.data.scoped_api_key);
      await login('phone');
      await timed(async () => assert.deepEqual(await phone.ended(), { code: 4001 }));
      await desk.ask('ping');
      assert.equal(desk.closed, undefined);
    });

    it('ends the sockets of a user who is deactivated, and of one who is deleted', async () => {
      const [one, two] = [await aUser(tenant), await aUser(tenant)];
      const sockets = [await aSocket(there.url, way, one.key), await aSocket(here.url, way, two.key)];
      await here.call('PUT', `/users/${one.id}`, { key: tenant.key, body: { is_active: false } });
      await here.call('DELETE', `/users/${two.id}`, { key: tenant.key });
      await timed(async () => {
        for (const socket of sockets) assert.deepEqual(await socket.ended(), { code: 4001 });
      });
    });

    it('ends the sockets of a revoked client key', async () => {
      const body = { scopes: ['messages:read'], name: 'reader' };
      const { data } = (await here.call('POST', '/clients/me/keys', { key: tenant.key, body })).body;
      const socket = await aSocket(there.url, way, data.key);
      await here.call('DELETE', `/clients/me/keys/${data.id}`, { key: tenant.key });
      await timed(async () => assert.deepEqual(await socket.ended(), { code: 4001 }));
    });

    it('ends a socket when its key expires', async () => {
      const body = { scopes: ['messages:read'], expires_at: new Date(Date.now() + 1_500).toISOString() };
      const { data } = (await here.call('POST', '/clients/me/keys', { key: tenant.key, body })).body;
      const socket = await aSocket(here.url, way, data.key);
      assert.deepEqual(await socket.ended(), { code: 4001 });
      const late = Date.now() - Date.parse(body.expires_at);
      assert.ok(late >= 0 && late < LATE_MS, `${late} ms after`);
      waits.push(late);
      assert.equal((await socket.frame('error')).data.error_code, 'KEY_EXPIRED');
    });

    it('ends the sockets of the replaced client key', async () => {
      const other = await aTenant(here);
      const socket = await aSocket(there.url, way, other.key);
      await here.call('POST', '/clients/me/keys/rotate', { key: other.key, body: {} });
      await timed(async () => assert.deepEqual(await socket.ended(), { code: 4001 }));
    });

    it('ends nothing when only the client is renamed', async () => {
      const other = await aTenant(here);
      const [key, user] = [
        await aSocket(here.url, way, other.key),
        await aSocket(here.url, way, (await aUser(other)).key),
      ];
      await here.call('PUT', '/clients/me', { key: other.key, body: { name: 'New name' } });
      const room = (await key.command('send_message', { room_id: other.id, content: 'x' })).error;
      assert.equal(room?.error_code, 'RESOURCE_NOT_FOUND');
      await user.ask('ping');
      assert.equal(user.closed ?? key.closed, undefined);
    });

    it('says so when a room is deleted, and tells nothing of it afterwards', async () => {
      const user = await aUser(tenant);
      const room = await aRoom(tenant, user);
      const [member, client] = [await aSocket(here.url, way, user.key), await aSocket(here.url, way, tenant.key)];
      await client.ask('subscribe', { room_id: room });
      await here.call('DELETE', `/rooms/${room}`, { key: user.key });
      await timed(async () => {
        for (const socket of [member, client]) {
          const { data } = await socket.frame('error', (frame) => frame.room_id === room);
          assert.equal(data.error_code, 'RESOURCE_NOT_FOUND');
        }
      });
      assert.equal((await client.command('subscribe', { room_id: room })).error?.error_code, 'RESOURCE_NOT_FOUND');
    });

    it('lets nobody subscribe to what REST would not show', async () => {
      const [owner, stranger] = [await aUser(tenant), await aUser(tenant)];
      const room = await aRoom(tenant, owner);
      const socket = await aSocket(here.url, way, stranger.key);
      const refused = await socket.command('subscribe', { room_id: room, after_seq: 0 });
      assert.equal(refused.error?.error_code, 'INSUFFICIENT_PERMISSIONS');
      const elsewhere = await aSocket(here.url, way, (await aTenant(here)).key);
      const foreign = await elsewhere.command('subscribe', { room_id: room, after_seq: 0 });
      const random = await elsewhere.command('subscribe', { room_id: '0198c0de-1111-7000-8000-00000000000a' });
      assert.deepEqual({ ...foreign.error, ref: 0 }, { ...random.error, ref: 0 });
      await aMessage(tenant, owner, room);
      for (const one of [socket, elsewhere]) {
        await one.ask('ping');
        assert.equal(one.changes(room).length, 0);
      }
    });

    it('holds keys to their scopes', async () => {
      const body = { scopes: ['messages:read'] };
      const { data } = (await here.call('POST', '/clients/me/keys', { key: tenant.key, body })).body;
      const room = await aRoom(tenant, await aUser(tenant));
      const socket = await aSocket(here.url, way, data.key);
      await socket.ask('subscribe', { room_id: room });
      const refused = await socket.command('send_message', { room_id: room, content: 'x' });
      assert.equal(refused.error?.error_code, 'INSUFFICIENT_PERMISSIONS');
    });

    it('is felt within a second', () => {
      assert.ok(waits.length >= 6 && median(waits) < SOON_MS, `${waits.join(', ')} ms`);
    });
  });
}
