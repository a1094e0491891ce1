import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { aNotification } from '../../support/api.js';
import { until } from '../../support/concurrency.js';
import { assertError } from '../../support/errors.js';
import { readNotification, startNotifier, untilStatus, type Notifier } from '../../support/notifier.js';

type Delivery = { recipient: string; status: string; attempts: { status: string }[] };

/** `{recipient: "status after n"}` */
function outcomes(deliveries: Delivery[]): Record<string, string> {
  return Object.fromEntries(deliveries.map((one) => [one.recipient, `${one.status} after ${one.attempts.length}`]));
}

describe('A mail', () => {
  let notifier: Notifier;
  before(async () => {
    notifier = await startNotifier();
    notifier.smtp.verdict = (address) => {
      if (address.startsWith('never')) return 550;
      if (address.startsWith('later')) return 451;
      return undefined;
    };
  });
  after(() => notifier.stop());

  const mail = (fields: object = {}) => aNotification(notifier.tenant, { ...fields });

  it('is sent as asked for, with a text beside the HTML and an id that stays', async () => {
    const created = await mail({
      to_email: 'one@example.com',
      subject: 'Žluťoučký kůň 👋',
      content: '<h1>Welcome</h1><p>to us</p>',
      reply_to: 'help@example.com',
      cc: ['copy@example.com'],
      bcc: ['blind@example.com'],
    });
    assert.equal(created.status, 'pending');
    const sent = await untilStatus(notifier.tenant, created.id, 'sent');
    assert.deepEqual(sent.recipients, { total: 1, pending: 0, sent: 1, failed: 0 });
    assert.equal(sent.error, null);
    assert(Date.parse(sent.sent_at) >= Date.parse(sent.created_at));
    const [delivery] = sent.deliveries;
    assert.deepEqual(outcomes(sent.deliveries), { 'one@example.com': 'sent after 1' });
    assert.equal(delivery.next_attempt_at, null);
    const [attempt] = delivery.attempts;
    assert.deepEqual(Object.keys(attempt).sort(), [
      'attempt_number',
      'attempted_at',
      'error',
      'error_code',
      'provider_message_id',
      'provider_name',
      'response_time_ms',
      'status',
    ]);
    assert.deepEqual([attempt.attempt_number, attempt.status, attempt.error], [1, 'sent', null]);
    assert.equal(attempt.provider_name, 'server');
    const [sunk] = notifier.smtp.to('one@example.com');
    assert.deepEqual(sunk!.to.sort(), ['blind@example.com', 'copy@example.com', 'one@example.com']);
    const parsed = await notifier.smtp.parsed('one@example.com');
    assert.equal(parsed.subject, 'Žluťoučký kůň 👋');
    assert.match(parsed.html!, /<h1>Welcome<\/h1>/);
    assert.match(parsed.text!, /Welcome[\s\S]*to us/);
    assert.equal(parsed.replyTo?.[0]?.address, 'help@example.com');
    assert(parsed.messageId!.includes(delivery.id));
    assert(!sunk!.raw.includes('blind@example.com'), 'a blind copy is in no header');
  });

  it('goes to each recipient alone, and each has an outcome of its own', async () => {
    const to_email = ['p1@example.com', 'never-1@example.com', 'p2@example.com', 'later-1@example.com'];
    const created = await mail({ to_email });
    const done = await untilStatus(notifier.tenant, created.id, 'partial');
    assert.deepEqual(done.recipients, { total: 4, pending: 0, sent: 2, failed: 2 });
    assert.deepEqual(outcomes(done.deliveries), {
      'p1@example.com': 'sent after 1',
      'never-1@example.com': 'failed after 1',
      'p2@example.com': 'sent after 1',
      'later-1@example.com': 'failed after 4',
    });
    assert(done.error.length > 0 && done.error_code.length > 0);
    for (const address of ['p1@example.com', 'p2@example.com']) {
      const [sunk] = notifier.smtp.to(address);
      assert.deepEqual(sunk!.to, [address]);
      for (const other of to_email) if (other !== address) assert(!sunk!.raw.includes(other));
    }
  });

  it('that nobody takes has failed, at once when the refusal is for good', async () => {
    const done = await untilStatus(notifier.tenant, (await mail({ to_email: 'never-2@example.com' })).id, 'failed');
    assert.deepEqual(outcomes(done.deliveries), { 'never-2@example.com': 'failed after 1' });
    assert.deepEqual(done.recipients, { total: 1, pending: 0, sent: 0, failed: 1 });
    assert.equal(done.sent_at, null);
  });

  it('that fails in passing is tried again, and its error is forgotten when it arrives', async () => {
    let refusals = 2;
    const before = notifier.smtp.verdict;
    notifier.smtp.verdict = (address) => (address.startsWith('twice') && refusals-- > 0 ? 451 : before(address));
    const done = await untilStatus(notifier.tenant, (await mail({ to_email: 'twice@example.com' })).id, 'sent');
    assert.deepEqual(outcomes(done.deliveries), { 'twice@example.com': 'sent after 3' });
    assert.deepEqual(
      done.deliveries[0].attempts.map((one: { status: string; attempt_number: number }) => [
        one.attempt_number,
        one.status,
      ]),
      [
        [1, 'failed'],
        [2, 'failed'],
        [3, 'sent'],
      ],
    );
    assert.deepEqual([done.error, done.error_code], [null, null]);
    const { 0: sunk, length } = notifier.smtp.to('twice@example.com');
    assert.equal(length, 1);
    assert(sunk!.raw.includes(done.deliveries[0].id));
  });

  it('goes to those in copy once, however often its recipient is refused', async () => {
    let refusals = [451, 550];
    const before = notifier.smtp.verdict;
    notifier.smtp.verdict = (address) => (address === 'lagging@example.com' ? refusals.shift() : before(address));
    const copies = { cc: ['copied@example.com'], bcc: ['copied-blindly@example.com'] };
    const { id } = await mail({ to_email: 'lagging@example.com', ...copies });
    const failed = await untilStatus(notifier.tenant, id, 'failed');
    const takenAs = failed.deliveries[0].attempts.map((one: Record<string, unknown>) => one['provider_message_id']);
    assert.equal(takenAs.length, 2);
    assert.ok(takenAs[0], 'those in copy have it');
    assert.equal(takenAs[1], null);
    refusals = [];
    await notifier.api.call('POST', `/notifications/${id}/retry`, { key: notifier.tenant.key });
    await untilStatus(notifier.tenant, id, 'sent');
    const envelopes = notifier.smtp.mails.map(({ to }) => to).filter((to) => /lagging|copied/.test(to.join()));
    assert.deepEqual(envelopes, [['copied@example.com', 'copied-blindly@example.com'], ['lagging@example.com']]);
    notifier.smtp.verdict = before;
  });

  it('that failed can be tried again, only then, and only for those it failed for', async () => {
    const created = await mail({ to_email: ['again@example.com', 'never-3@example.com'] });
    await untilStatus(notifier.tenant, created.id, 'partial');
    const before = notifier.smtp.verdict;
    notifier.smtp.verdict = () => undefined;
    const retry = (id: string) => notifier.api.call('POST', `/notifications/${id}/retry`, { key: notifier.tenant.key });
    const reply = await retry(created.id);
    assert.equal(reply.status, 200, reply.text);
    assert.deepEqual(reply.body.data.recipients, { total: 2, pending: 1, sent: 1, failed: 0 });
    const done = await untilStatus(notifier.tenant, created.id, 'sent');
    assert.deepEqual(done.recipients, { total: 2, pending: 0, sent: 2, failed: 0 });
    assert.deepEqual(outcomes(done.deliveries), {
      'again@example.com': 'sent after 1',
      'never-3@example.com': 'sent after 2',
    });
    assert.equal(notifier.smtp.to('again@example.com').length, 1);
    assertError(await retry(created.id), 409, 'INVALID_STATE');
    notifier.smtp.verdict = before;
  });

  it('waits for its time, and can be called off until then', async () => {
    const later = new Date(Date.now() + 1500).toISOString();
    const [kept, cancelled] = [
      await mail({ to_email: 'kept@example.com', scheduled_for: later }),
      await mail({ to_email: ['off-1@example.com', 'off-2@example.com'], scheduled_for: later }),
    ];
    const cancel = (id: string) =>
      notifier.api.call('POST', `/notifications/${id}/cancel`, { key: notifier.tenant.key });
    const reply = await cancel(cancelled.id);
    assert.equal(reply.status, 200, reply.text);
    assert.equal(reply.body.data.status, 'cancelled');
    assert.deepEqual(reply.body.data.recipients, { total: 2, pending: 0, sent: 0, failed: 0 });
    assertError(await cancel(cancelled.id), 409, 'INVALID_STATE');
    assert.equal((await readNotification(notifier.tenant, kept.id)).status, 'pending');
    const sent = await untilStatus(notifier.tenant, kept.id, 'sent');
    const [sunk] = notifier.smtp.to('kept@example.com');
    assert(sunk!.at >= Date.parse(later), 'not before its time');
    assert(Date.parse(sent.sent_at) >= Date.parse(later));
    assertError(await cancel(kept.id), 409, 'INVALID_STATE');
    const off = await readNotification(notifier.tenant, cancelled.id);
    assert.deepEqual(outcomes(off.deliveries), {
      'off-1@example.com': 'cancelled after 0',
      'off-2@example.com': 'cancelled after 0',
    });
    assert.equal(notifier.smtp.to('off-1@example.com').length, 0);
  });

  it('is processing while it is under way, and cannot be called off any more', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    notifier.smtp.beforeAccept = () => held;
    const { id } = await mail({ to_email: 'held@example.com' });
    await until('it is at the server', () => notifier.smtp.to('held@example.com').length === 1);
    const { status, recipients } = await readNotification(notifier.tenant, id);
    assert.equal(status, 'processing');
    assert.deepEqual(recipients, { total: 1, pending: 1, sent: 0, failed: 0 });
    const { key } = notifier.tenant;
    assertError(await notifier.api.call('POST', `/notifications/${id}/cancel`, { key }), 409, 'INVALID_STATE');
    assertError(await notifier.api.call('POST', `/notifications/${id}/retry`, { key }), 409, 'INVALID_STATE');
    const listed = await notifier.api.call('GET', '/notifications?status=processing', { key });
    assert.deepEqual(
      listed.body.data.map((row: { id: string }) => row.id),
      [id],
    );
    notifier.smtp.beforeAccept = undefined;
    release();
    await untilStatus(notifier.tenant, id, 'sent');
  });

  it('to a thousand is a thousand mails', async () => {
    const to_email = Array.from({ length: 1000 }, (_, i) => `many-${i}@example.com`);
    const created = await mail({ to_email });
    const sent = await untilStatus(notifier.tenant, created.id, 'sent');
    assert.deepEqual(sent.recipients, { total: 1000, pending: 0, sent: 1000, failed: 0 });
    const counts = new Map<string, number>();
    for (const { to } of notifier.smtp.mails) counts.set(to[0]!, (counts.get(to[0]!) ?? 0) + 1);
    assert(to_email.every((address) => counts.get(address) === 1));
    const filter = await notifier.api.call('GET', '/notifications?recipient=MANY-999@example.com', {
      key: notifier.tenant.key,
    });
    assert.deepEqual(
      filter.body.data.map((row: { id: string }) => row.id),
      [created.id],
    );
  });

  it('tells webhooks of its end, in the transaction of the end', async () => {
    const { database } = notifier.api;
    const insertEndpoint = `INSERT INTO webhook_endpoints (client_id, id, url, events, secret, created_at, updated_at)
      VALUES ($1, $2, 'https://example.com', '{notification.*}', '', now(), now())`;
    await database.query(insertEndpoint, [notifier.tenant.id, '0198c0de-1111-7000-8000-000000000001']);
    const good = await mail({ to_email: 'told@example.com', meta: { order: 7 } });
    const bad = await mail({ to_email: ['told@example.com', 'never-4@example.com'] });
    await untilStatus(notifier.tenant, good.id, 'sent');
    await untilStatus(notifier.tenant, bad.id, 'partial');
    const events = await database.query<{ event: string; data: Record<string, unknown> }>(
      'SELECT event, data FROM events WHERE client_id = $1',
      [notifier.tenant.id],
    );
    const of = (id: string) => events.filter(({ data }) => data['id'] === id);
    assert.deepEqual(
      of(good.id).map(({ event }) => event),
      ['notification.sent'],
    );
    assert.deepEqual(
      of(bad.id).map(({ event }) => event),
      ['notification.failed'],
    );
    const { data } = of(good.id)[0]!;
    assert.deepEqual([data['status'], data['meta'], data['created_at']], ['sent', { order: 7 }, good.created_at]);
    assert.equal(data['content'], undefined);
  });
});

describe('A mail that has to wait for its next try', () => {
  let notifier: Notifier;
  before(async () => {
    notifier = await startNotifier({ NOTIFICATION_RETRY_SCHEDULE: '30,120,300' });
    notifier.smtp.verdict = () => 451;
  });
  after(() => notifier.stop());

  it('is retrying, at 30 s, 2 min and 5 min, each give or take 10 %, and then has failed', async () => {
    const { id } = await aNotification(notifier.tenant);
    for (const seconds of [30, 120, 300]) {
      const seen = await untilStatus(notifier.tenant, id, 'retrying');
      assert.deepEqual(seen.recipients, { total: 1, pending: 1, sent: 0, failed: 0 });
      assert(seen.error_code.length > 0);
      const [{ attempts, next_attempt_at }] = seen.deliveries;
      const last = attempts.at(-1);
      const waits = Date.parse(next_attempt_at) - Date.parse(last.attempted_at) - last.response_time_ms;
      assert(waits >= seconds * 890 && waits <= seconds * 1110, `${waits} ms instead of ${seconds} s`);
      await notifier.api.database.query(
        `UPDATE deliveries SET next_attempt_at = now() WHERE source_id = $1 AND stage = 'waiting'`,
        [id],
      );
      await until('it is tried', async () => {
        const { deliveries } = await readNotification(notifier.tenant, id);
        return deliveries[0].attempts.length > attempts.length;
      });
    }
    const done = await untilStatus(notifier.tenant, id, 'failed');
    assert.equal(done.deliveries[0].attempts.length, 4);
    assert.deepEqual(done.recipients, { total: 1, pending: 0, sent: 0, failed: 1 });
  });
});
