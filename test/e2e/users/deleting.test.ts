import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import type { Tx } from '#libs/database';
import {
  aRoom,
  aTenant,
  aUser,
  startApi,
  type Reply,
  type TestApi,
  type TestTenant,
  type TestUser,
} from '../../support/api.js';
import { until } from '../../support/concurrency.js';
import { anOwnDatabase, type OwnDatabase } from '../../support/own-database.js';

describe('What is deleted while something else goes on', () => {
  let own: OwnDatabase;
  let api: TestApi;
  let tenant: TestTenant;
  let owner: TestUser;
  before(async () => {
    own = await anOwnDatabase();
    api = await startApi({}, own.url);
    tenant = await aTenant(api);
    owner = await aUser(tenant);
  });
  after(async () => {
    await api.stop();
    await own.drop();
  });

  const asClient = (method: string, path: string, body?: object): Promise<Reply> =>
    api.call(method, path, { key: tenant.key, body });

  /** Requests that wait; when keys were last used is written down from time to time, and may wait too. */
  const blocked = async (): Promise<number> => {
    const rows = await api.database.query(`SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'
      AND datname = current_database() AND query NOT LIKE '%SET last_used_at%'`);
    return rows.length;
  };

  /** Begins the requests one after another, each once those before it wait for what the transaction holds or are done. */
  async function whileHeld(
    hold: (tx: Tx) => Promise<unknown>,
    ...requests: (() => Promise<Reply>)[]
  ): Promise<Reply[]> {
    const replies: Promise<Reply>[] = [];
    let done = 0;
    const end = new Error('nothing of this stays');
    await api.database
      .run(async (tx) => {
        await hold(tx);
        for (const request of requests) {
          replies.push(request().finally(() => done++));
          await until('the requests so far wait', async () => done + (await blocked()) === replies.length);
        }
        throw end;
      })
      .catch((error: unknown) => assert.equal(error, end));
    return Promise.all(replies);
  }

  const holdRoom = (room: string) => (tx: Tx) =>
    tx.query('SELECT 1 FROM room_counters WHERE client_id = $1 AND room_id = $2 FOR UPDATE', [tenant.id, room]);

  const seats = async (room: string): Promise<[number, string[]]> => {
    const { body } = await asClient('GET', `/rooms/${room}`);
    const members = await asClient('GET', `/rooms/${room}/members`);
    return [body.data.member_count, members.body.data.map((member: { user_id: string }) => member.user_id)];
  };

  it('gives one seat back for a user who is removed from a room and deleted at once', async () => {
    const user = await aUser(tenant);
    const room = await aRoom(tenant, owner, { member_ids: [user.id] });
    const replies = await whileHeld(
      holdRoom(room),
      () => asClient('DELETE', `/rooms/${room}/members/${user.id}`),
      () => asClient('DELETE', `/users/${user.id}`),
    );
    assert.deepEqual(
      replies.map((reply) => reply.status),
      [204, 204],
    );
    assert.deepEqual(await seats(room), [1, [owner.id]]);
  });

  it('deletes a user one of whose rooms is erased that moment', async () => {
    const user = await aUser(tenant);
    const [erased, kept] = [
      await aRoom(tenant, owner, { member_ids: [user.id] }),
      await aRoom(tenant, owner, { member_ids: [user.id] }),
    ];
    const replies = await whileHeld(
      holdRoom(erased),
      () => asClient('DELETE', `/rooms/${erased}`),
      () => asClient('DELETE', `/users/${user.id}`),
    );
    assert.deepEqual(
      replies.map((reply) => reply.status),
      [204, 204],
    );
    assert.deepEqual(await seats(kept), [1, [owner.id]]);
  });

  for (const [how, request] of Object.entries({
    joins: (room: string, user: string) => asClient('POST', `/rooms/${room}/join`, { user_id: user }),
    'is added': (room: string, user: string) => asClient('POST', `/rooms/${room}/members`, { user_ids: [user] }),
  })) {
    it(`leaves no member behind of a user who ${how} and is deleted at once`, async () => {
      const user = await aUser(tenant);
      const room = await aRoom(tenant, owner);
      const replies = await whileHeld(
        // What the new membership waits for last: a row of its name that may yet come to be.
        (tx) =>
          tx.query(
            `INSERT INTO room_members (client_id, room_id, user_id, role, joined_at, change_seq, last_read_seq)
             VALUES ($1, $2, $3, 'member', now(), 1, 1)`,
            [tenant.id, room, user.id],
          ),
        () => request(room, user.id),
        () => asClient('DELETE', `/users/${user.id}`),
      );
      assert.deepEqual(
        replies.map((reply) => reply.status),
        [201, 204],
      );
      assert.deepEqual(await seats(room), [1, [owner.id]]);
    });
  }

  it('refuses what belongs to a client that is erased that moment as it refuses the keys of one', async () => {
    const erased = await aTenant(api);
    const writes: [string, string, object][] = [
      ['POST', '/users', { email: 'john@example.com', username: 'john' }],
      ['POST', '/rooms', { name: 'A room' }],
      ['POST', '/clients/me/keys', { scopes: ['rooms:read'] }],
      ['POST', '/webhooks', { url: 'https://192.0.32.7/hook', events: ['*'] }],
      ['POST', '/notifications', { type: 'email', to_email: 'a@example.com', subject: 's', content: 'c' }],
    ];
    const replies: Promise<Reply>[] = [];
    await api.database.run(async (tx) => {
      await tx.query('DELETE FROM clients WHERE id = $1', [erased.id]);
      for (const [method, path, body] of writes) {
        replies.push(api.call(method, path, { key: erased.key, body }));
        await until('they wait for what becomes of the client', async () => (await blocked()) === replies.length);
      }
    });
    for (const [index, reply] of (await Promise.all(replies)).entries()) {
      assert.deepEqual([reply.status, reply.body.error_code], [401, 'INVALID_CREDENTIALS'], writes[index]![1]);
    }
  });
});
