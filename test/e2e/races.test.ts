import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import type { Tx } from '#libs/database';
import {
  aMessage,
  aRoom,
  aTenant,
  aUser,
  startApi,
  type Reply,
  type TestApi,
  type TestTenant,
  type TestUser,
} from '../support/api.js';
import { inParallel, KeepAlive, tally, until } from '../support/concurrency.js';

describe('Races', () => {
  let api: TestApi;
  let tenant: TestTenant;
  before(async () => {
    api = await startApi();
    tenant = await aTenant(api);
  });
  after(() => api.stop());

  const users = (n: number): Promise<TestUser[]> => inParallel(Array.from({ length: n }), 20, () => aUser(tenant));

  /** Every number a room gave out, from its change feed. */
  async function seqsOf(roomId: string): Promise<number[]> {
    const seqs: number[] = [];
    for (let after = 0, more = true; more;) {
      const { body } = await api.call('GET', `/rooms/${roomId}/changes?after_seq=${after}&limit=1000`, {
        key: tenant.key,
      });
      for (const frame of body.data.frames) seqs.push(frame.seq);
      after = body.data.seq;
      more = body.data.has_more;
    }
    return seqs;
  }

  const upTo = (n: number) => Array.from({ length: n }, (_, index) => index + 1);

  it('gives one seat to exactly one of 20 who join', async () => {
    const owner = await aUser(tenant);
    const room = await aRoom(tenant, owner, { max_members: 2 });
    const replies = await Promise.all(
      (await users(20)).map((user) => api.call('POST', `/rooms/${room}/join`, { key: user.key, body: {} })),
    );
    assert.deepEqual(tally(replies), { 201: 1, 409: 19 });
    for (const reply of replies) if (reply.status === 409) assert.equal(reply.body.error_code, 'ROOM_FULL');
    const { body } = await api.call('GET', `/rooms/${room}`, { key: tenant.key });
    assert.equal(body.data.member_count, 2);
    const members = await api.call('GET', `/rooms/${room}/members`, { key: tenant.key });
    assert.equal(members.body.pagination.total, 2);
  });

  it('makes one member of 20 joins of the same user', async () => {
    const owner = await aUser(tenant);
    const user = await aUser(tenant);
    const room = await aRoom(tenant, owner);
    const replies = await inParallel(upTo(20), 20, () =>
      api.call('POST', `/rooms/${room}/join`, { key: user.key, body: {} }),
    );
    assert.deepEqual(tally(replies), { 200: 19, 201: 1 });
    const { body } = await api.call('GET', `/rooms/${room}`, { key: tenant.key });
    assert.deepEqual([body.data.member_count, body.data.seq], [2, 2]);
  });

  it('makes one direct room of 50 requests for the same pair, from both sides', async () => {
    const [a, b] = (await users(2)) as [TestUser, TestUser];
    const replies = await inParallel(upTo(50), 50, (_, index) => {
      const [from, to] = index % 2 ? [a, b] : [b, a];
      return api.call('POST', '/rooms', { key: from.key, body: { room_type: 'direct', member_ids: [to.id] } });
    });
    assert.deepEqual(tally(replies), { 200: 49, 201: 1 });
    assert.equal(new Set(replies.map((reply) => reply.body.data.id)).size, 1);
    for (const user of [a, b]) {
      const { body } = await api.call('GET', '/rooms', { key: user.key });
      assert.equal(body.pagination.total, 1);
    }
  });

  it('leaves one key of 50 logins, and never two at an instant', async () => {
    const user = await aUser(tenant);
    const keys: string[] = [user.key];
    let done = false;
    const watch = async () => {
      while (!done) {
        const [row] = await api.database.query<{ n: number }>(
          'SELECT count(*) AS n FROM api_keys WHERE client_id = $1 AND user_id = $2 AND revoked_at IS NULL',
          [tenant.id, user.id],
        );
        assert.equal(row!.n, 1, 'one key lives at every instant');
      }
    };
    const watching = watch();
    const replies = await inParallel(upTo(50), 50, () =>
      api.call('POST', '/users/login', { key: tenant.key, body: { user_id: user.id } }),
    );
    done = true;
    await watching;
    assert.deepEqual(tally(replies), { 200: 50 });
    keys.push(...replies.map((reply) => reply.body.data.scoped_api_key));
    const uses = await inParallel(keys, 20, (key) => api.call('GET', '/users/me', { key }));
    assert.deepEqual(tally(uses), { 200: 1, 401: 50 });
  });

  it('keeps one key per device when two devices sign in again and again', async () => {
    const user = await aUser(tenant);
    const replies = await inParallel(upTo(30), 30, (_, index) =>
      api.call('POST', '/users/login', {
        key: tenant.key,
        body: { user_id: user.id, device: index % 2 ? 'phone' : 'desk' },
      }),
    );
    const uses = await inParallel(replies, 20, (reply) =>
      api.call('GET', '/users/me', { key: reply.body.data.scoped_api_key }),
    );
    assert.deepEqual(tally(uses), { 200: 2, 401: 28 });
  });

  for (const field of ['email', 'username', 'external_id']) {
    it(`gives a ${field} to exactly one of 20 users created at once`, async () => {
      const taken = field === 'email' ? `${randomUUID()}@example.com` : randomUUID();
      const replies = await inParallel(upTo(20), 20, (n) => {
        const username = `u-${randomUUID()}`;
        const mine = field === 'email' && n % 2 ? taken.toUpperCase() : taken;
        return api.call('POST', '/users', {
          key: tenant.key,
          body: { email: `${username}@example.com`, username, [field]: mine },
        });
      });
      assert.deepEqual(tally(replies), { 201: 1, 409: 19 });
      for (const { status, body } of replies) {
        if (status === 409) assert.deepEqual([body.error_code, body.errors[0].field], ['CONFLICT', field]);
      }
    });
  }

  it('does one thing for 100 equal idempotency keys', async () => {
    const room = await aRoom(tenant, await aUser(tenant));
    const headers = { 'idempotency-key': randomUUID() };
    const replies = await inParallel(upTo(100), 100, () =>
      api.call('POST', '/messages', { key: tenant.key, headers, body: { room_id: room, content: 'once' } }),
    );
    const ids = new Set<string>();
    for (const { status, body, text } of replies) {
      if (status === 201) ids.add(body.data.id);
      else assert.equal(body.error_code, 'IDEMPOTENCY_IN_PROGRESS', text);
    }
    assert.equal(ids.size, 1);
    assert.equal((await api.call('GET', `/rooms/${room}`, { key: tenant.key })).body.data.message_count, 1);
  });

  it('numbers 10,000 concurrent sends into 50 rooms without hole or double, joins among them', async () => {
    const ROOMS = 50;
    const SENDS = 10_000;
    const [owner, ...readers] = (await users(4)) as [TestUser, ...TestUser[]];
    const rooms = await inParallel(upTo(ROOMS), 10, () => aRoom(tenant, owner));
    const http = new KeepAlive(200);
    const work = upTo(SENDS).map((n) => ({ room: rooms[n % ROOMS]!, content: `message ${n}` }));
    const joins = readers.flatMap((reader) => rooms.map((room) => ({ reader, room })));
    const [sent, joined] = await Promise.all([
      inParallel(work, 200, ({ room, content }) =>
        http.post(`${api.url}/api/v1/messages`, owner.key, { room_id: room, content }),
      ),
      inParallel(joins, 5, ({ reader, room }) =>
        api.call('POST', `/rooms/${room}/join`, { key: reader.key, body: {} }),
      ),
    ]);
    http.close();
    assert.deepEqual(tally(sent), { 201: SENDS });
    assert.deepEqual(tally(joined), { 201: joins.length });
    const perRoom = SENDS / ROOMS;
    const changes = perRoom + 1 + readers.length;
    for (const room of rooms) {
      const { body } = await api.call('GET', `/rooms/${room}`, { key: tenant.key });
      assert.deepEqual(
        [body.data.seq, body.data.message_count, body.data.member_count],
        [changes, perRoom, 1 + readers.length],
      );
      assert.deepEqual(await seqsOf(room), upTo(changes));
      const listed = await api.call('GET', `/messages?room_id=${room}&size=1`, { key: owner.key });
      assert.equal(listed.body.pagination.total, perRoom);
    }
    const seqOf = new Map<string, number[]>(rooms.map((room) => [room, []]));
    for (const { body } of sent) seqOf.get(body.data.room_id)!.push(body.data.seq);
    for (const reader of readers) {
      const { body } = await api.call('GET', '/rooms?size=100', { key: reader.key });
      assert.equal(body.data.length, ROOMS);
      for (const room of body.data) {
        const missed = seqOf.get(room.id)!.filter((seq) => seq > room.last_read_seq).length;
        assert.deepEqual([room.unread_count, room.unread_capped ?? false], [missed, false]);
      }
    }
    const all = await api.call('GET', '/messages?size=1', { key: owner.key });
    assert.equal(all.body.pagination.total, SENDS);
  });

  it('never stores a message of someone who has left', async () => {
    const owner = await aUser(tenant);
    const user = await aUser(tenant);
    const room = await aRoom(tenant, owner);
    await api.call('POST', `/rooms/${room}/join`, { key: user.key, body: {} });
    const http = new KeepAlive(50);
    const [sends, left] = await Promise.all([
      inParallel(upTo(200), 50, () =>
        http.post(`${api.url}/api/v1/messages`, user.key, { room_id: room, content: 'x' }),
      ),
      api.call('POST', `/rooms/${room}/leave`, { key: user.key, body: {} }),
    ]);
    http.close();
    assert.equal(left.status, 200, left.text);
    const stored = sends.filter((reply) => reply.status === 201).map((reply) => reply.body.data.seq as number);
    assert.equal(stored.length + sends.filter((reply) => reply.status === 403).length, 200);
    const { body } = await api.call('GET', `/rooms/${room}`, { key: tenant.key });
    assert.deepEqual([body.data.message_count, body.data.member_count], [stored.length, 1]);
    const frames = (await api.call('GET', `/rooms/${room}/changes?limit=1000`, { key: tenant.key })).body.data.frames;
    const leftAt = frames.find((frame: { type: string }) => frame.type === 'user_left').seq;
    assert.ok(stored.every((seq) => seq < leftAt));
  });

  it('keeps exactly one heir when owners leave at once', async () => {
    const [owner, admin, ...rest] = (await users(6)) as [TestUser, TestUser, ...TestUser[]];
    const room = await aRoom(tenant, owner, { member_ids: [...rest, admin].map((user) => user.id) });
    for (const user of [rest[0]!]) {
      const made = await api.call('PUT', `/rooms/${room}/members/${user.id}`, {
        key: owner.key,
        body: { role: 'owner' },
      });
      assert.equal(made.status, 200, made.text);
    }
    await api.call('PUT', `/rooms/${room}/members/${admin.id}`, { key: owner.key, body: { role: 'admin' } });
    const replies = await Promise.all(
      [owner, rest[0]!].map((user) => api.call('POST', `/rooms/${room}/leave`, { key: user.key, body: {} })),
    );
    assert.deepEqual(tally(replies), { 200: 2 });
    const owners = await api.call('GET', `/rooms/${room}/members?role=owner`, { key: tenant.key });
    assert.deepEqual(
      owners.body.data.map((member: { user_id: string }) => member.user_id),
      [admin.id],
    );
  });

  it('refuses who loses a role while the change waits for the room', async () => {
    const [owner, admin, other] = (await users(3)) as [TestUser, TestUser, TestUser];
    const room = await aRoom(tenant, owner, { member_ids: [admin.id] });
    const asAdmin = (method: string, path: string, body?: object) =>
      api.call(method, `/rooms/${room}${path}`, { key: admin.key, body });
    const changes = [
      () => asAdmin('PUT', '', { name: 'Mine' }),
      () => asAdmin('POST', '/members', { user_ids: [other.id] }),
      () => asAdmin('PUT', `/members/${admin.id}`, { role: 'admin' }),
      () => asAdmin('DELETE', `/members/${admin.id}`),
      () => asAdmin('DELETE', ''),
    ];
    const setRole = (tx: Tx, role: string) =>
      tx.query('UPDATE room_members SET role = $1 WHERE room_id = $2 AND user_id = $3', [role, room, admin.id]);
    const roomNow = async () => (await api.call('GET', `/rooms/${room}`, { key: tenant.key })).body.data;
    const before = await roomNow();
    for (const change of changes) {
      await api.database.run((tx) => setRole(tx, 'owner'));
      let reply!: Promise<Reply>;
      await api.database.run(async (tx) => {
        await tx.query('SELECT 1 FROM room_counters WHERE room_id = $1 FOR UPDATE', [room]);
        const [own] = await tx.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
        reply = change();
        await until('the change waits for the room', async () => {
          const sql = 'SELECT 1 FROM pg_stat_activity WHERE $1 = ANY (pg_blocking_pids(pid))';
          return (await api.database.query(sql, [own!.pid])).length === 1;
        });
        await setRole(tx, 'member');
      });
      const { status, body } = await reply;
      assert.deepEqual([status, body.error_code], [403, 'INSUFFICIENT_PERMISSIONS']);
    }
    assert.deepEqual(await roomNow(), before);
  });

  it('stores one message of 50 equal client_message_ids', async () => {
    const user = await aUser(tenant);
    const room = await aRoom(tenant, user);
    const http = new KeepAlive(50);
    const body = { room_id: room, content: 'once', client_message_id: randomUUID() };
    const replies = await inParallel(upTo(50), 50, () => http.post(`${api.url}/api/v1/messages`, user.key, body));
    http.close();
    assert.deepEqual(tally(replies), { 200: 49, 201: 1 });
    assert.equal(new Set(replies.map((reply) => reply.body.data.id)).size, 1);
  });

  it('edits and deletes of one message at once end in one deleted state', async () => {
    const user = await aUser(tenant);
    const room = await aRoom(tenant, user);
    const message = await aMessage(tenant, user, room);
    const replies = await inParallel(upTo(20), 20, (n) =>
      n % 2
        ? api.call('PUT', `/messages/${message.id}`, { key: user.key, body: { content: `edit ${n}` } })
        : api.call('DELETE', `/messages/${message.id}`, { key: user.key }),
    );
    const counts = tally(replies);
    assert.equal(counts[204], 1);
    assert.equal((counts[200] ?? 0) + counts[404]!, 19);
    const { body } = await api.call('GET', `/rooms/${room}`, { key: tenant.key });
    assert.deepEqual([body.data.message_count, body.data.seq], [0, 3 + (counts[200] ?? 0)]);
  });
});
