import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { aNotification, aRoom, aTenant, aUser, type TestUser } from '../../support/api.js';
import { until } from '../../support/concurrency.js';
import { assertError } from '../../support/errors.js';
import { readNotification, startNotifier, untilStatus, type Notifier } from '../../support/notifier.js';

describe('A socket notification, with nobody online', () => {
  let notifier: Notifier;
  before(async () => {
    notifier = await startNotifier();
  });
  after(() => notifier.stop());

  const tell = (fields: object) => aNotification(notifier.tenant, { type: 'websocket', content: 'hello', ...fields });
  const inbox = async (user: TestUser, query = '') => {
    const reply = await notifier.api.call('GET', `/users/me/notifications?${query}`, { key: user.key });
    assert.equal(reply.status, 200, reply.text);
    return reply.body.data;
  };
  const ids = (rows: { id: string }[]) => rows.map(({ id }) => id);

  it('finds no inbox of a user who is being deleted that moment', async () => {
    const { database } = notifier.api;
    const user = await aUser(notifier.tenant);
    const id = await database.run(async (tx) => {
      await tx.query(`UPDATE users SET deleted_at = now() WHERE client_id = $1 AND id = $2`, [
        notifier.tenant.id,
        user.id,
      ]);
      const created = await tell({ user_ids: [user.id] });
      await until('the delivery waits for the deletion, or does not', async () => {
        const [row] = await database.query<{ n: number }>(
          `SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
        );
        return row!.n > 0 || (await readNotification(notifier.tenant, created.id)).status === 'sent';
      });
      return created.id as string;
    });
    assert.equal((await untilStatus(notifier.tenant, id, 'failed', 'sent')).error_code, 'USER_GONE');
    const rows = await database.query('SELECT 1 FROM notification_inbox WHERE notification_id = $1', [id]);
    assert.equal(rows.length, 0);
  });

  it('is in the inbox of each user it names, and of nobody else', async () => {
    const [jane, john, other] = [
      await aUser(notifier.tenant),
      await aUser(notifier.tenant),
      await aUser(notifier.tenant),
    ];
    const meta = { action_url: 'https://example.com/1', icon: 'bell', n: 1 };
    const created = await tell({
      user_ids: [jane.id, john.id.toUpperCase()],
      subject: 'Title',
      meta,
      priority: 'high',
    });
    assert.deepEqual(created.recipients, { total: 2, pending: 2, sent: 0, failed: 0 });
    const sent = await untilStatus(notifier.tenant, created.id, 'sent');
    assert.deepEqual(
      sent.deliveries.map((one: { recipient: string; attempts: { provider_name: string }[] }) => [
        one.recipient,
        one.attempts[0]!.provider_name,
      ]),
      [
        [jane.id, 'inbox'],
        [john.id, 'inbox'],
      ],
    );
    const [seen] = await inbox(jane);
    assert.deepEqual(seen, {
      id: created.id,
      title: 'Title',
      content: 'hello',
      action_url: 'https://example.com/1',
      icon: 'bell',
      priority: 'high',
      meta,
      room_id: null,
      is_read: false,
      read_at: null,
      created_at: created.created_at,
    });
    assert.deepEqual(ids(await inbox(john)), [created.id]);
    assert.deepEqual(await inbox(other), []);
  });

  it('to a room is in the inbox of those who are members when it is delivered', async () => {
    const [owner, member, left, late] = await Promise.all([1, 2, 3, 4].map(() => aUser(notifier.tenant)));
    const room = await aRoom(notifier.tenant, owner!, { member_ids: [member!.id, left!.id] });
    await notifier.api.call('POST', `/rooms/${room}/leave`, { key: left!.key });
    const created = await tell({ room_id: room, user_ids: [member!.id, left!.id] });
    const sent = await untilStatus(notifier.tenant, created.id, 'sent');
    assert.equal(sent.recipients.total, 3);
    assert.equal(sent.deliveries[0].recipient, room);
    await notifier.api.call('POST', `/rooms/${room}/join`, { key: late!.key });
    for (const user of [owner!, member!, left!]) assert.deepEqual(ids(await inbox(user)), [created.id]);
    assert.equal((await inbox(owner!))[0].room_id, room);
    assert.deepEqual(await inbox(late!), []);
  });

  it('is read once, by its reader', async () => {
    const [jane, john] = [await aUser(notifier.tenant), await aUser(notifier.tenant)];
    const [first, second] = [await tell({ user_ids: [jane.id] }), await tell({ user_ids: [jane.id] })];
    await untilStatus(notifier.tenant, first.id, 'sent');
    await untilStatus(notifier.tenant, second.id, 'sent');
    const read = (user: TestUser, id: string) =>
      notifier.api.call('POST', `/users/me/notifications/${id}/read`, { key: user.key });
    const reply = await read(jane, first.id);
    assert.equal(reply.status, 200, reply.text);
    assert.equal(reply.body.data.is_read, true);
    assert.deepEqual((await read(jane, first.id)).body.data, reply.body.data, 'again keeps the first time');
    assert.deepEqual(ids(await inbox(jane, 'is_read=true')), [first.id]);
    assert.deepEqual(ids(await inbox(jane, 'is_read=false')), [second.id]);
    assertError(await read(john, second.id), 404, 'RESOURCE_NOT_FOUND');
    const mail = await aNotification(notifier.tenant);
    assertError(await read(jane, mail.id), 404, 'RESOURCE_NOT_FOUND');
    const { key } = notifier.tenant;
    assertError(await notifier.api.call('GET', '/users/me/notifications', { key }), 404, 'RESOURCE_NOT_FOUND');
  });

  it('is not in the inbox before its time', async () => {
    const jane = await aUser(notifier.tenant);
    const at = new Date(Date.now() + 800).toISOString();
    const { id } = await tell({ user_ids: [jane.id], scheduled_for: at });
    assert.deepEqual(await inbox(jane), []);
    await untilStatus(notifier.tenant, id, 'sent');
    assert.deepEqual(ids(await inbox(jane)), [id]);
  });

  it('falls back to a mail, once, and is sent when the mail is', async () => {
    const [jane, john] = [await aUser(notifier.tenant), await aUser(notifier.tenant)];
    const email_fallback = {
      to_email: ['f1@example.com', 'f2@example.com'],
      subject: 'You missed it',
      content: '<p>x</p>',
    };
    const { id } = await tell({ user_ids: [jane.id, john.id], email_fallback });
    const sent = await untilStatus(notifier.tenant, id, 'sent');
    assert.deepEqual(sent.recipients, { total: 4, pending: 0, sent: 4, failed: 0 });
    assert.deepEqual(
      sent.deliveries.map((one: { recipient: string }) => one.recipient),
      [jane.id, john.id, 'f1@example.com', 'f2@example.com'],
    );
    for (const address of email_fallback.to_email) {
      assert.equal(notifier.smtp.to(address).length, 1);
      assert.equal((await notifier.smtp.parsed(address)).subject, 'You missed it');
    }
    assert.deepEqual(ids(await inbox(jane)), [id]);
    const none = await tell({ user_ids: [jane.id], email_fallback: { ...email_fallback, enabled: false } });
    assert.equal((await untilStatus(notifier.tenant, none.id, 'sent')).recipients.total, 1);
    const own = await tell({ user_ids: [jane.id], subject: 'Own', email_fallback: { to_email: 'f3@example.com' } });
    await untilStatus(notifier.tenant, own.id, 'sent');
    const parsed = await notifier.smtp.parsed('f3@example.com');
    assert.deepEqual([parsed.subject, parsed.text?.trim()], ['Own', 'hello']);
  });

  it('whose fallback fails is partial, since the inbox has it', async () => {
    notifier.smtp.verdict = (address) => (address.startsWith('never') ? 550 : undefined);
    const jane = await aUser(notifier.tenant);
    const email_fallback = { to_email: 'never@example.com', subject: 'Missed' };
    const { id } = await tell({ user_ids: [jane.id], email_fallback });
    const done = await untilStatus(notifier.tenant, id, 'partial');
    assert.deepEqual(done.recipients, { total: 2, pending: 0, sent: 1, failed: 1 });
  });

  it('to a user who was deleted meanwhile has failed, and a deleted user leaves no inbox', async () => {
    const { tenant } = notifier;
    const [gone, stays] = [await aUser(tenant), await aUser(tenant)];
    const before = await tell({ user_ids: [gone.id] });
    await untilStatus(tenant, before.id, 'sent');
    const waiting = await tell({
      user_ids: [gone.id, stays.id],
      scheduled_for: new Date(Date.now() + 800).toISOString(),
    });
    assert.equal((await notifier.api.call('DELETE', `/users/${gone.id}`, { key: tenant.key })).status, 204);
    const done = await untilStatus(tenant, waiting.id, 'partial');
    assert.equal(done.error_code, 'USER_GONE');
    const [row] = await notifier.api.database.query<{ n: number }>(
      'SELECT count(*) AS n FROM notification_inbox WHERE user_id = $1',
      [gone.id],
    );
    assert.equal(row!.n, 0);
    const reply = await notifier.api.call('POST', '/notifications', {
      key: tenant.key,
      body: { type: 'websocket', content: 'x', user_ids: [gone.id] },
    });
    assertError(reply, 404, 'RESOURCE_NOT_FOUND');
  });

  it('survives the end of its tenant', async () => {
    const other = await aTenant(notifier.api);
    const user = await aUser(other);
    const { id } = await aNotification(other, { type: 'websocket', content: 'x', user_ids: [user.id] });
    await untilStatus(other, id, 'sent');
    await aNotification(other, { scheduled_for: new Date(Date.now() + 500).toISOString() });
    const erased = await notifier.api.call('DELETE', '/clients/me', { key: other.key, body: { confirm: other.name } });
    assert.equal(erased.status, 204, erased.text);
    await until('nothing is left of it', async () => {
      const tables = ['notifications', 'deliveries', 'notification_inbox'];
      const counts = await Promise.all(
        tables.map((table) =>
          notifier.api.database.query<{ n: number }>(`SELECT count(*) AS n FROM ${table} WHERE client_id = $1`, [
            other.id,
          ]),
        ),
      );
      return counts.every(([row]) => row!.n === 0);
    });
    const mine = await tell({ user_ids: [(await aUser(notifier.tenant)).id] });
    await untilStatus(notifier.tenant, mine.id, 'sent');
    assert.equal((await readNotification(notifier.tenant, mine.id)).status, 'sent');
  });
});
