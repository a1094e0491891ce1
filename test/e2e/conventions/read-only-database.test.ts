import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Database } from '#libs/database';
import {
  aRoom,
  aTenant,
  aUser,
  startApi,
  testDatabaseUrl,
  type TestApi,
  type TestTenant,
  type TestUser,
} from '../../support/api.js';
import { assertError } from '../../support/errors.js';
import { anOwnDatabase, type OwnDatabase } from '../../support/own-database.js';

describe('A database that others write to, as a standby is', () => {
  let own: OwnDatabase;
  let server: Database;
  let api: TestApi;
  let tenant: TestTenant;
  let user: TestUser;
  let room: string;
  before(async () => {
    own = await anOwnDatabase();
    server = new Database(testDatabaseUrl(), { max: 1 });
    api = await startApi({}, own.url);
    tenant = await aTenant(api);
    user = await aUser(tenant);
    room = await aRoom(tenant, user);
  });
  after(async () => {
    await api.stop();
    await server.close();
    await own.drop();
  });

  /** Whether sessions that are opened from now on may write. */
  const readOnly = (on: boolean) =>
    server.query(`ALTER DATABASE ${own.name} SET default_transaction_read_only = ${on ? 'on' : 'off'}`);

  for (const [path, body] of [
    ['/messages', (): object => ({ room_id: room, content: 'hello' })],
    ['/rooms', (): object => ({ name: 'A room' })],
    ['/notifications', (): object => ({ type: 'email', to_email: 'a@example.com', subject: 's', content: 'c' })],
  ] as const) {
    it(`is a 503 for POST ${path}, and the session is not used again`, async () => {
      const post = () =>
        api.call('POST', path, { key: path === '/notifications' ? tenant.key : user.key, body: body() });
      await readOnly(true);
      await server.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [own.name]);
      const replies = [];
      for (let n = 0; n < 12; n++) replies.push(await post());
      for (const reply of replies) assertError(reply, 503, 'SERVICE_UNAVAILABLE');
      await readOnly(false);
      const later = [];
      for (let n = 0; n < 12; n++) later.push((await post()).status);
      assert.deepEqual(later.slice(-1), [201]);
      assert.ok(later.filter((status) => status !== 201).every((status) => status === 503));
    });
  }
});
