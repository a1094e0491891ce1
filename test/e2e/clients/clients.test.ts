import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { pino } from 'pino';
import { until } from '../../support/concurrency.js';
import { aMessage, aRoom, aTenant, aUser, startApi, type TestApi } from '../../support/api.js';

describe('Clients', () => {
  let api: TestApi;
  before(async () => {
    api = await startApi();
  });
  after(() => api.stop());

  it('reads and changes itself, and never shows its key again', async () => {
    const tenant = await aTenant(api);
    const body = { name: 'New name', description: 'What it is' };
    const changed = await api.call('PUT', '/clients/me', { key: tenant.key, body });
    const read = await api.call('GET', '/clients/me', { key: tenant.key });
    assert.deepEqual(read.body.data, changed.body.data);
    assert.deepEqual([read.body.data.name, read.body.data.description], [body.name, body.description]);
    assert.ok(!read.text.includes(tenant.key));
  });

  it('is named in the log of its requests; its registration, which has no client yet, names none', async () => {
    const lines: { msg: string; route: string; client_id?: string }[] = [];
    const logger = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
    const logged = await startApi({}, undefined, logger);
    try {
      const tenant = await aTenant(logged);
      await logged.call('GET', '/clients/me', { key: tenant.key });
      await until('both are logged', () => lines.filter(({ msg }) => msg === 'request').length === 2);
      assert.deepEqual(
        lines.map(({ route, client_id }) => [route, client_id]),
        [
          ['/api/v1/clients', undefined],
          ['/api/v1/clients/me', tenant.id],
        ],
      );
    } finally {
      await logged.stop();
    }
  });

  it('erases itself with all it owns, only when its name is confirmed', async () => {
    const [tenant, other] = [await aTenant(api), await aTenant(api)];
    const user = await aUser(tenant);
    await aMessage(tenant, user, await aRoom(tenant, user));
    const erase = (confirm: string) => api.call('DELETE', '/clients/me', { key: tenant.key, body: { confirm } });
    assert.equal((await erase('another name')).status, 422);
    assert.equal((await erase(tenant.name)).status, 204);
    for (const key of [tenant.key, user.key]) assert.equal((await api.call('GET', '/rooms', { key })).status, 401);
    for (const table of [
      'users',
      'api_keys',
      'rooms',
      'room_counters',
      'room_members',
      'messages',
      'idempotency_records',
    ]) {
      assert.deepEqual(await api.database.query(`SELECT 1 FROM ${table} WHERE client_id = $1`, [tenant.id]), [], table);
    }
    assert.equal((await api.call('GET', '/clients/me', { key: other.key })).status, 200);
  });

  it('makes narrower keys, replaces the master key with a grace, and revokes', async () => {
    const tenant = await aTenant(api);
    const minted = await api.call('POST', '/clients/me/keys', { key: tenant.key, body: { scopes: ['rooms:read'] } });
    const { id, key } = minted.body.data;
    assert.equal((await api.call('GET', '/rooms/all', { key })).status, 200);
    assert.equal((await api.call('GET', '/users', { key })).status, 403);
    assert.equal((await api.call('DELETE', `/clients/me/keys/${id}`, { key: tenant.key })).status, 204);
    assert.equal((await api.call('GET', '/rooms/all', { key })).status, 401);
    const rotate = (master: string, grace_seconds: number) =>
      api.call('POST', '/clients/me/keys/rotate', { key: master, body: { grace_seconds } });
    const second = (await rotate(tenant.key, 60)).body.data.key as string;
    for (const living of [tenant.key, second])
      assert.equal((await api.call('GET', '/clients/me', { key: living })).status, 200);
    const third = (await rotate(second, 0)).body.data.key as string;
    assert.equal((await api.call('GET', '/clients/me', { key: second })).status, 401);
    assert.equal((await api.call('GET', '/clients/me', { key: third })).status, 200);
  });
});
