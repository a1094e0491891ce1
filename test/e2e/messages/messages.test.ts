import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { Scheduler } from '#libs/jobs';
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
import { aSocket, closeSockets } from '../../support/sockets.js';

describe('Messages', () => {
  let api: TestApi;
  let tenant: TestTenant;
  let john: TestUser;
  let jane: TestUser;
  before(async () => {
    api = await startApi();
    tenant = await aTenant(api);
    john = await aUser(tenant, { full_name: 'John Doe' });
    jane = await aUser(tenant);
  });
  after(() => api.stop());

  const room = () => aRoom(tenant, john, { member_ids: [jane.id] });
  const get = async (path: string, key = john.key) => {
    const reply = await api.call('GET', path, { key });
    assert.equal(reply.status, 200, reply.text);
    return reply.body.data;
  };
  const send = (roomId: string, fields: Record<string, unknown>, key = john.key) =>
    api.call('POST', '/messages', { key, body: { room_id: roomId, content: 'hi', ...fields } });
  const contents = (messages: { content: string }[]) => messages.map((message) => message.content);

  it('edits: text, meta and reason, with the next seq', async () => {
    const id = await room();
    const message = await aMessage(tenant, john, id, 'helo');
    const body = { content: 'hello', meta: { a: [1] }, edit_reason: 'typo' };
    const reply = await api.call('PUT', `/messages/${message.id}`, { key: john.key, body });
    const edited = reply.body.data;
    assert.deepEqual(
      [reply.status, edited.content, edited.meta, edited.edit_reason, edited.is_edited, edited.seq],
      [200, 'hello', { a: [1] }, 'typo', true, message.seq],
    );
    assert.deepEqual(await get(`/messages/${message.id}`), edited);
    assert.equal((await get(`/rooms/${id}`)).seq, message.seq + 1);
  });

  it('takes what changes nothing for no edit: no mark, no seq, no frame, on every way', async () => {
    const id = await room();
    const sent = (await send(id, { content: 'as it is', meta: { a: [1, { b: 2 }] } })).body.data;
    const { key } = john;
    const socket = await aSocket(api.url, 'websocket', key);
    const same = [
      {},
      { content: 'as it is' },
      { content: 'as it is', meta: { a: [1, { b: 2 }] } },
      { edit_reason: null },
    ];
    for (const body of same) {
      const reply = await api.call('PUT', `/messages/${sent.id}`, { key, body });
      assert.deepEqual([reply.status, reply.body.data], [200, sent]);
      assert.deepEqual(await socket.ask('edit_message', { message_id: sent.id, ...body }), sent);
    }
    assert.equal((await get(`/rooms/${id}`)).seq, sent.seq);
    assert.equal((await api.call('PUT', `/messages/${sent.id}`, { key: jane.key, body: {} })).status, 403);
    const edit = (body: object) => api.call('PUT', `/messages/${sent.id}`, { key, body });
    const changes = [{ meta: { a: [1, { b: 3 }] } }, { edit_reason: 'why' }, { content: 'other' }];
    for (const [index, body] of changes.entries()) {
      const { data } = (await edit(body)).body;
      assert.equal(data.is_edited, true);
      assert.equal((await get(`/rooms/${id}`)).seq, sent.seq + index + 1);
    }
    await socket.frame('message_updated', (frame) => frame.data.content === 'other');
    assert.deepEqual(
      socket.changes(id).map(({ seq }) => seq),
      changes.map((_, index) => sent.seq + index + 1),
    );
    closeSockets();
  });

  it('deletes softly: content and meta are erased, the place stays', async () => {
    const id = await room();
    const sent = (await send(id, { content: 'a secret', meta: { pin: 1 } })).body.data;
    assert.equal((await api.call('DELETE', `/messages/${sent.id}`, { key: john.key })).status, 204);
    assert.deepEqual(await get(`/messages?room_id=${id}`), []);
    for (const method of ['GET', 'DELETE']) {
      assert.equal((await api.call(method, `/messages/${sent.id}`, { key: john.key })).status, 404);
    }
    const put = await api.call('PUT', `/messages/${sent.id}`, { key: john.key, body: { content: 'x' } });
    assert.equal(put.status, 404);
    const [deleted] = await get(`/messages?room_id=${id}&include_deleted=true`, tenant.key);
    assert.deepEqual([deleted.id, deleted.content, deleted.meta, deleted.is_deleted], [sent.id, '', {}, true]);
    const [row] = await api.database.query('SELECT content, meta FROM messages WHERE id = $1', [sent.id]);
    assert.deepEqual(row, { content: '', meta: {} });
  });

  it('answers pages that are asked for at once each by its own room and access', async () => {
    const other = await aTenant(api);
    const stranger = await aUser(other);
    const rooms = await Promise.all(Array.from({ length: 6 }, room));
    const foreign = await aRoom(other, stranger);
    for (const id of rooms) for (const text of ['1', '2', '3']) await aMessage(tenant, john, id, `${text} in ${id}`);
    await aMessage(other, stranger, foreign, 'secret');
    const asking = (key: string, id: string, more = '') =>
      api.call('GET', `/messages?room_id=${id}&size=2&sort=seq&order=asc${more}`, { key });
    const asked = rooms.flatMap((id) => [
      asking(john.key, id),
      asking(tenant.key, id, '&page=2'),
      asking(stranger.key, id),
      asking(john.key, foreign),
      asking(stranger.key, foreign),
      asking(john.key, randomUUID()),
      asking(jane.key, id, '&page=300'),
    ]);
    const answers = (await Promise.all(asked)).map(({ status, body }) =>
      status === 200 ? [...contents(body.data), body.pagination.total] : status,
    );
    assert.deepEqual(
      answers,
      rooms.flatMap((id) => [[`1 in ${id}`, `2 in ${id}`, 3], [`3 in ${id}`, 3], 404, 404, ['secret', 1], 404, [3]]),
    );
    const outsider = await aUser(tenant);
    assert.equal((await asking(outsider.key, rooms[0]!)).status, 403);
  });

  it('filters by everything a list can be asked', async () => {
    const id = await room();
    const first = await aMessage(tenant, john, id, 'the quick brown fox');
    await send(id, { content: 'a picture', message_type: 'image' }, jane.key);
    await send(id, { content: 'fox, I hear you', reply_to: first.id }, jane.key);
    const seq = first.seq as number;
    const today = new Date().toISOString().slice(0, 10);
    for (const [filter, expected] of [
      ['message_type=image', ['a picture']],
      [`sender_id=${jane.id}`, ['a picture', 'fox, I hear you']],
      [`reply_to=${first.id}`, ['fox, I hear you']],
      ['search=fox', ['the quick brown fox', 'fox, I hear you']],
      ['search=FOX%20brown', ['the quick brown fox']],
      ['search=fo', []],
      [`after_seq=${seq}`, ['a picture', 'fox, I hear you']],
      [`before_seq=${seq + 1}`, ['the quick brown fox']],
      [`after_seq=${seq}&before_seq=${seq + 2}`, ['a picture']],
      [`start_date=${today}`, ['the quick brown fox', 'a picture', 'fox, I hear you']],
      ['end_date=2020-01-01', []],
    ] as const) {
      const { body } = await api.call('GET', `/messages?room_id=${id}&sort=seq&order=asc&${filter}`, { key: john.key });
      assert.deepEqual([contents(body.data), body.pagination.total], [expected, expected.length], filter);
    }
    const lost = await api.call('GET', '/messages?after_seq=1', { key: john.key });
    assert.deepEqual([lost.status, lost.body.errors[0].field], [422, 'after_seq']);
  });

  it('answers a resend with the first message', async () => {
    const id = await room();
    const cmid = randomUUID();
    const first = await send(id, { content: 'first', client_message_id: cmid });
    const again = await send(id, { content: 'second', client_message_id: cmid });
    assert.deepEqual([first.status, again.status], [201, 200]);
    assert.deepEqual(again.body.data, first.body.data);
    assert.equal((await send(id, { client_message_id: cmid }, jane.key)).status, 201, 'of another sender');
    assert.equal((await send(await room(), { client_message_id: cmid })).status, 201, 'in another room');
  });

  it('merges states in the changes feed and pages through it', async () => {
    const id = await room();
    const a = await aMessage(tenant, john, id, 'a');
    const b = await aMessage(tenant, john, id, 'b');
    await api.call('PUT', `/messages/${a.id}`, { key: john.key, body: { content: 'a2' } });
    await api.call('DELETE', `/messages/${b.id}`, { key: john.key });
    await api.call('POST', `/rooms/${id}/leave`, { key: jane.key, body: {} });
    const whole = await get(`/rooms/${id}/changes`);
    assert.deepEqual(
      whole.frames.map((frame: { seq: number; type: string }) => [frame.seq, frame.type]),
      [
        [1, 'user_joined'],
        [5, 'message'],
        [6, 'message_deleted'],
        [7, 'user_left'],
      ],
    );
    const later = await get(`/rooms/${id}/changes?after_seq=4`);
    assert.deepEqual([later.frames[0].type, later.frames[0].data.content], ['message_updated', 'a2']);
    const paged: unknown[] = [];
    for (let after = 0, more = true; more;) {
      const page = await get(`/rooms/${id}/changes?after_seq=${after}&limit=1`);
      paged.push(...page.frames.map((frame: { seq: number }) => frame.seq));
      [after, more] = [page.seq, page.has_more];
    }
    assert.deepEqual(paged, [1, 5, 6, 7]);
    assert.deepEqual((await get(`/rooms/${id}/changes?after_seq=7`)).frames, []);
  });

  it('refuses messages in a room deactivated by hand, until it is activated', async () => {
    const id = await room();
    await api.call('PUT', `/rooms/${id}`, { key: john.key, body: { is_active: false } });
    const refused = await send(id, {});
    assert.deepEqual([refused.status, refused.body.error_code], [409, 'ROOM_INACTIVE']);
    assert.equal((await get(`/rooms/${id}`)).deactivated_reason, 'manual');
    await api.call('PUT', `/rooms/${id}`, { key: john.key, body: { is_active: true } });
    assert.equal((await send(id, {})).status, 201);
  });

  it('puts quiet rooms to rest by their kind, and wakes them with a message', async () => {
    const days = { direct: 90, group: 30, channel: 180, support: 7 };
    const ages: [string, boolean][] = [];
    for (const [type, limit] of Object.entries(days)) {
      for (const [age, stays] of [
        [limit + 1, false],
        [limit - 1, true],
      ] as const) {
        const other = await aUser(tenant);
        const fields = type === 'direct' ? { name: undefined, member_ids: [other.id] } : {};
        const id = await aRoom(tenant, john, { room_type: type, ...fields });
        await aMessage(tenant, john, id);
        await api.database.query(
          'UPDATE room_counters SET last_message_at = now() - make_interval(days => $2) WHERE room_id = $1',
          [id, age],
        );
        ages.push([id, stays]);
      }
    }
    await api.database.query(
      `INSERT INTO scheduled_jobs (name, next_run_at) VALUES ('deactivate-quiet-rooms', now())
       ON CONFLICT (name) DO UPDATE SET next_run_at = now()`,
    );
    await api.app.get(Scheduler, { strict: false }).runDue();
    for (const [id, stays] of ages) {
      const before = await get(`/rooms/${id}`);
      assert.deepEqual(
        [before.is_active, before.deactivated_reason],
        [stays, stays ? null : 'inactive'],
        before.room_type,
      );
      assert.equal((await send(id, {})).status, 201);
      const after = await get(`/rooms/${id}`);
      assert.deepEqual([after.is_active, after.deactivated_reason], [true, null]);
    }
  });

  it('counts the quiet time of a room that was switched on by hand from then', async () => {
    const id = await room();
    const age = (days: number) =>
      api.database.query(
        `WITH aged AS (UPDATE room_counters SET last_message_at = now() - interval '400 days' WHERE room_id = $1)
         UPDATE rooms SET active_since = active_since - make_interval(days => $2) WHERE id = $1`,
        [id, days],
      );
    const isActiveAfterTheJob = async () => {
      await api.database.query(
        `INSERT INTO scheduled_jobs (name, next_run_at) VALUES ('deactivate-quiet-rooms', now())
         ON CONFLICT (name) DO UPDATE SET next_run_at = now()`,
      );
      await api.app.get(Scheduler, { strict: false }).runDue();
      return (await get(`/rooms/${id}`)).is_active;
    };
    const switchOn = () => api.call('PUT', `/rooms/${id}`, { key: john.key, body: { is_active: true } });
    await age(0);
    assert.equal(await isActiveAfterTheJob(), false);
    await switchOn();
    assert.equal(await isActiveAfterTheJob(), true);
    await age(29);
    await switchOn();
    assert.equal(await isActiveAfterTheJob(), true);
    await age(2);
    assert.equal(await isActiveAfterTheJob(), false, 'switching on what is on is no switch');
  });

  it('lists a room by its latest changes without reading all of it', async () => {
    const id = await room();
    const sent: string[] = [];
    for (let n = 0; n < 6; n++) sent.push((await aMessage(tenant, john, id, `${n}`)).id);
    for (const n of [3, 1])
      await api.call('PUT', `/messages/${sent[n]}`, { key: john.key, body: { content: `${n}!` } });
    const list = async (order: string, cursor = '') => {
      const path = `/messages?room_id=${id}&sort=updated_at&order=${order}&size=2${cursor}`;
      const { body } = await api.call('GET', path, { key: john.key });
      return [contents(body.data), body.pagination.next_cursor] as [string[], string | null];
    };
    for (const [order, expected] of [
      ['desc', ['1!', '3!', '5', '4', '2', '0']],
      ['asc', ['0', '2', '4', '5', '3!', '1!']],
    ] as const) {
      const seen: string[] = [];
      for (let cursor: string | null = ''; cursor !== null;) {
        const [page, next]: [string[], string | null] = await list(order, cursor);
        seen.push(...page);
        cursor = next && `&cursor=${next}`;
      }
      assert.deepEqual(seen, expected);
    }
  });

  it('counts unread to 1,000 and says when there is more', async () => {
    const id = await room();
    const add = (n: number) =>
      api.database.query(
        `WITH c AS (UPDATE room_counters SET seq = seq + $3, message_count = message_count + $3 WHERE room_id = $2 RETURNING seq - $3 AS base)
         INSERT INTO messages (client_id, id, room_id, seq, change_seq, sender_id, content, message_type, created_at, updated_at)
         SELECT $1, gen_random_uuid(), $2, base + n, base + n, $4, 'x', 'text', now(), now() FROM c, generate_series(1, $3) AS n`,
        [tenant.id, id, n, john.id],
      );
    const unread = async () => {
      const { unread_count, unread_capped } = await get(`/rooms/${id}`, jane.key);
      return [unread_count, unread_capped];
    };
    for (const [more, expected] of [
      [999, [999, false]],
      [1, [1000, false]],
      [1, [1000, true]],
    ] as const) {
      await add(more);
      assert.deepEqual(await unread(), expected);
    }
    assert.equal((await get(`/rooms/${id}`, john.key)).unread_count, 0, 'own messages are not unread');
    const { seq } = await get(`/rooms/${id}`);
    const read = await api.call('POST', `/rooms/${id}/read`, { key: jane.key, body: { seq: seq - 1 } });
    assert.equal(read.body.data.unread_count, 1);
    const back = await api.call('POST', `/rooms/${id}/read`, { key: jane.key, body: { seq: 1 } });
    assert.equal(back.body.data.last_read_seq, seq - 1, 'the cursor never goes back');
  });
});
