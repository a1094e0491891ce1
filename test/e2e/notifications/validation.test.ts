import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { aRoom, aTenant, aUser, startApi, type Reply, type TestApi, type TestTenant } from '../../support/api.js';
import { assertError, assertInvalid } from '../../support/errors.js';

const MAIL = { type: 'email', to_email: 'user@example.com', subject: 'Welcome!', content: '<p>hello</p>' };
const DAY_MS = 86_400_000;

function addresses(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `user${i}@example.com`);
}

/** An instant `ms` beyond one year ahead. */
function inAYear(ms: number): string {
  const at = new Date(Date.now() + ms);
  at.setUTCFullYear(at.getUTCFullYear() + 1);
  return at.toISOString();
}

describe('What a notification may say', () => {
  let api: TestApi;
  let tenant: TestTenant;
  let socket: Record<string, unknown>;
  before(async () => {
    api = await startApi({ EGRESS_ALLOWED_CIDRS: '127.0.0.1/32' });
    tenant = await aTenant(api);
    const user = await aUser(tenant);
    socket = { type: 'websocket', content: 'hello', user_ids: [user.id] };
  });
  after(() => api.stop());

  const post = (body: unknown): Promise<Reply> => api.call('POST', '/notifications', { key: tenant.key, body });
  const accepted = async (body: object) => {
    const reply = await post(body);
    assert.equal(reply.status, 201, reply.text);
    return reply.body.data;
  };

  it('holds each limit: at it, and one beyond', async () => {
    const cases: [string, unknown, unknown][] = [
      ['subject', 's'.repeat(255), 's'.repeat(256)],
      ['subject', 's', ''],
      ['content', 'c'.repeat(100_000), 'c'.repeat(100_001)],
      ['content', 'c', ''],
      ['from_name', 'n'.repeat(255), 'n'.repeat(256)],
      ['cc', addresses(50), addresses(51)],
      ['bcc', addresses(50), addresses(51)],
      ['to_email', addresses(1000), addresses(1001)],
      ['to_email', addresses(1), []],
      ['scheduled_for', inAYear(-1000), inAYear(60_000)],
      ['scheduled_for', new Date(Date.now() + 5000).toISOString(), new Date(Date.now() - 1000).toISOString()],
      ['priority', 'urgent', 'soon'],
      ['type', 'email', 'sms'],
      ['meta', { a: 'x'.repeat(16 * 1024 - 8) }, { a: 'x'.repeat(16 * 1024 - 7) }],
    ];
    for (const [field, good, bad] of cases) {
      await accepted({ ...MAIL, [field]: good });
      assertInvalid(await post({ ...MAIL, [field]: bad }), [field], `${field} ${String(bad).slice(0, 40)}`);
    }
    const ids = Array.from({ length: 1001 }, () => socket['user_ids']).flat();
    await accepted({ ...socket, user_ids: ids.slice(0, 1000) });
    assertInvalid(await post({ ...socket, user_ids: ids }), ['user_ids']);
    assertInvalid(await post({ ...socket, user_ids: [] }), ['user_ids']);
  });

  it('names each wrong address by its place', async () => {
    const to_email = ['a@example.com', 'nobody', 'b@example.com', 'x@y', 'line@example.com\r\nBcc: z@example.com'];
    assertInvalid(await post({ ...MAIL, to_email }), ['to_email[1]', 'to_email[3]', 'to_email[4]']);
    const reply = await post({ ...MAIL, cc: ['a@b'], bcc: [1], reply_to: 'x', from_email: '', to_email: 7 });
    assertInvalid(reply, ['to_email', 'cc[0]', 'bcc[0]', 'reply_to', 'from_email']);
    assert.equal(reply.body.errors[1].message, 'cc[0] must be an e-mail address');
  });

  it('lets no line break into a header', async () => {
    for (const evil of ['a\r\nBcc: x@example.com', 'a\nb', 'a\rb', 'a\u0000b', 'a\u2028b', 'a\u0085b']) {
      assertInvalid(await post({ ...MAIL, subject: evil }), ['subject'], JSON.stringify(evil));
      assertInvalid(await post({ ...MAIL, from_name: evil }), ['from_name'], JSON.stringify(evil));
      const email_fallback = { to_email: 'a@example.com', subject: evil };
      assertInvalid(await post({ ...socket, email_fallback }), ['email_fallback.subject'], JSON.stringify(evil));
    }
  });

  it('refuses what does not go together, naming the field', async () => {
    const url = 'http://127.0.0.1:9/hook';
    const cases: [object, string[]][] = [
      [{ ...MAIL, to_email: undefined }, ['to_email']],
      [{ ...MAIL, subject: undefined }, ['subject']],
      [{ type: 'email', content: 'x' }, ['to_email', 'subject']],
      [{ ...MAIL, user_ids: socket['user_ids'], webhook_url: url }, ['user_ids', 'webhook_url']],
      [{ ...MAIL, email_fallback: { enabled: false } }, ['email_fallback']],
      [{ type: 'websocket', content: 'x' }, ['user_ids']],
      [{ ...socket, to_email: 'a@example.com', cc: [] }, ['to_email', 'cc']],
      [{ ...socket, email_fallback: {} }, ['email_fallback.to_email', 'email_fallback.subject']],
      [
        { ...socket, email_fallback: { to_email: ['a@example.com', 'b'], enabled: 'yes' } },
        ['email_fallback.enabled', 'email_fallback.to_email[1]'],
      ],
      [{ ...socket, email_fallback: 'a@example.com' }, ['email_fallback']],
      [{ type: 'webhook', content: 'x' }, ['webhook_url']],
      [{ type: 'webhook', content: 'x', webhook_url: url, to_email: 'a@example.com' }, ['to_email']],
    ];
    for (const [body, fields] of cases) assertInvalid(await post(body), fields, JSON.stringify(body));
    await accepted({ ...socket, email_fallback: { enabled: false } });
    await accepted({ ...socket, email_fallback: { to_email: 'a@example.com', subject: 'Missed' } });
  });

  it('asks no target that may not be asked', async () => {
    const refused = [
      'ftp://example.com/',
      'http://user:pass@example.com/',
      'http://10.0.0.1/',
      'http://169.254.169.254/latest',
      'http://[::1]/',
      'http://2130706434/',
      'not a url',
    ];
    for (const webhook_url of refused) {
      assertInvalid(await post({ type: 'webhook', content: 'x', webhook_url }), ['webhook_url'], webhook_url);
    }
    await accepted({ type: 'webhook', content: 'x', webhook_url: 'http://127.0.0.1:9/hook' });
  });

  it('ignores what it does not know, inside as well', async () => {
    const created = await accepted({
      ...socket,
      status: 'sent',
      recipients: { total: 9 },
      email_fallback: { to_email: 'a@example.com', subject: 'Missed', evil: 1 },
    });
    assert.equal(created.status, 'pending');
    assert.equal(created.recipients.total, 1);
    assert.deepEqual(created.email_fallback, { enabled: true, to_email: 'a@example.com', subject: 'Missed' });
  });

  it('counts one address once, whatever its case, and shows what was asked for', async () => {
    const to_email = ['A@example.com', 'a@example.com', 'b@example.com', 'A@EXAMPLE.COM'];
    const created = await accepted({ ...MAIL, to_email });
    assert.deepEqual(created.recipients, { total: 2, pending: 2, sent: 0, failed: 0 });
    assert.deepEqual(created.to_email, to_email);
    const detail = await api.call('GET', `/notifications/${created.id}`, { key: tenant.key });
    assert.deepEqual(
      detail.body.data.deliveries.map((one: { recipient: string }) => one.recipient),
      ['A@example.com', 'b@example.com'],
    );
    assert.deepEqual({ ...detail.body.data, deliveries: undefined }, { ...created, deliveries: undefined });
  });

  it('a batch is all or nothing, and names the faults of each', async () => {
    const count = async () => (await api.call('GET', '/notifications', { key: tenant.key })).body.pagination.total;
    const before = await count();
    const batch = (notifications: unknown) =>
      api.call('POST', '/notifications/batch', { key: tenant.key, body: { notifications } });
    const reply = await batch([MAIL, { ...MAIL, subject: '' }, { type: 'webhook' }, { ...MAIL, to_email: ['x'] }, 1]);
    assertInvalid(reply, [
      'notifications[1].subject',
      'notifications[2].content',
      'notifications[3].to_email[0]',
      'notifications[4]',
    ]);
    assertInvalid(await batch([MAIL, { ...MAIL, to_email: undefined }]), ['notifications[1].to_email']);
    for (const wrong of [undefined, null, [], 'x', Array.from({ length: 101 }, () => MAIL)]) {
      assertInvalid(await batch(wrong), ['notifications']);
    }
    assertError(
      await batch([MAIL, { ...socket, user_ids: ['0198c0de-1111-7000-8000-000000000001'] }]),
      404,
      'RESOURCE_NOT_FOUND',
    );
    assert.equal(await count(), before);
    const made = await batch(Array.from({ length: 100 }, (_, i) => ({ ...MAIL, subject: `Mail ${i}` })));
    assert.equal(made.status, 201, made.text);
    assert.deepEqual(
      made.body.data.notifications.map((one: { subject: string }) => one.subject),
      Array.from({ length: 100 }, (_, i) => `Mail ${i}`),
    );
    assert.equal(await count(), before + 100);
  });

  it('is for client keys with the scope', async () => {
    const user = await aUser(tenant);
    assertError(await api.call('GET', '/notifications', { key: user.key }), 403, 'INSUFFICIENT_PERMISSIONS');
    assertError(
      await api.call('POST', '/notifications', { key: user.key, body: MAIL }),
      403,
      'INSUFFICIENT_PERMISSIONS',
    );
    const minted = await api.call('POST', '/clients/me/keys', {
      key: tenant.key,
      body: { scopes: ['notifications:read'] },
    });
    const { key } = minted.body.data;
    assert.equal((await api.call('GET', '/notifications', { key })).status, 200);
    assertError(await api.call('POST', '/notifications', { key, body: MAIL }), 403, 'INSUFFICIENT_PERMISSIONS');
    assertError(await api.call('GET', '/notifications/webhook-secret', { key }), 403, 'INSUFFICIENT_PERMISSIONS');
  });

  it('counts in a family of its own', async () => {
    const limited = await startApi({ RATE_LIMIT_NOTIFICATIONS: '2/3600' });
    try {
      const { key } = await aTenant(limited);
      const statuses: number[] = [];
      for (const path of ['', '/analytics', '/webhook-secret']) {
        statuses.push((await limited.call('GET', `/notifications${path}`, { key })).status);
      }
      assert.deepEqual(statuses, [200, 200, 429]);
      assert.equal((await limited.call('GET', '/users', { key })).status, 200);
    } finally {
      await limited.stop();
    }
  });

  it('filters the list', async () => {
    const own = await aTenant(api);
    const user = await aUser(own);
    const room = await aRoom(own, user);
    const ask = async (body: object) =>
      (await api.call('POST', '/notifications', { key: own.key, body })).body.data.id as string;
    const first = await ask({ ...MAIL, to_email: ['One@example.com', 'two@example.com'], priority: 'high' });
    const second = await ask({ type: 'websocket', content: 'x', room_id: room, user_ids: [user.id] });
    const third = await ask({ ...MAIL, scheduled_for: new Date(Date.now() + DAY_MS).toISOString() });
    const listed = async (query: string) => {
      const reply = await api.call('GET', `/notifications?order=asc&${query}`, { key: own.key });
      assert.equal(reply.status, 200, reply.text);
      return reply.body.data.map((row: { id: string }) => row.id);
    };
    assert.deepEqual(await listed('recipient=one@example.com'), [first]);
    assert.deepEqual(await listed('recipient=ONE@example.com&type=websocket'), []);
    assert.deepEqual(await listed(`recipient=${user.id}`), [second]);
    assert.deepEqual(await listed(`room_id=${room}`), [second]);
    assert.deepEqual(await listed('type=email'), [first, third]);
    assert.deepEqual(await listed('priority=high'), [first]);
    assert.deepEqual(await listed('status=pending'), [first, second, third]);
    await api.call('POST', `/notifications/${third}/cancel`, { key: own.key });
    assert.deepEqual(await listed('status=cancelled'), [third]);
    assert.deepEqual(await listed('status=pending'), [first, second]);
    assert.deepEqual(await listed('status=processing'), []);
  });
});
