import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Webhook } from 'standardwebhooks';
import { aNotification, aTenant } from '../../support/api.js';
import { inParallel } from '../../support/concurrency.js';
import type { SunkRequest } from '../../support/http-sink.js';
import { startNotifier, untilStatus, type Notifier } from '../../support/notifier.js';

describe('A webhook notification', () => {
  let notifier: Notifier;
  before(async () => {
    notifier = await startNotifier({ NOTIFICATION_RETRY_SCHEDULE: '0,0,0' });
  });
  after(() => notifier.stop());

  const post = (path: string, fields: object = {}) =>
    aNotification(notifier.tenant, {
      type: 'webhook',
      webhook_url: notifier.httpUrl + path,
      content: 'Something happened',
      ...fields,
    });
  const headersOf = (request: SunkRequest) => request.headers as Record<string, string>;

  it('is one POST, signed by the secret the client can read', async () => {
    const created = await post('/good', { subject: 'News', meta: { a: 1 }, priority: 'high' });
    const sent = await untilStatus(notifier.tenant, created.id, 'sent');
    assert.deepEqual(sent.recipients, { total: 1, pending: 0, sent: 1, failed: 0 });
    assert.equal(sent.deliveries[0].recipient, `${notifier.httpUrl}/good`);
    const [request, ...more] = notifier.http.at('/good');
    assert.equal(more.length, 0);
    const { key } = notifier.tenant;
    const secret = await notifier.api.call('GET', '/notifications/webhook-secret', { key });
    assert.match(secret.body.data.secret, /^whsec_/);
    const payload = new Webhook(secret.body.data.secret).verify(request!.body, headersOf(request!)) as {
      data: unknown;
      meta: Record<string, unknown>;
      event: string;
      id: string;
    };
    assert.deepEqual(payload.data, {
      id: created.id,
      subject: 'News',
      content: 'Something happened',
      priority: 'high',
      meta: { a: 1 },
    });
    assert.equal(payload.event, 'notification');
    assert.equal(payload.id, request!.headers['webhook-id']);
    assert.equal(request!.headers['user-agent'], 'ChatAPI-Webhooks/1');
    assert.equal(request!.headers['content-type'], 'application/json');
    assert.deepEqual([payload.meta['notification_id'], payload.meta['attempt']], [created.id, 1]);
  });

  it('has one secret per client, however many ask first, stored sealed', async () => {
    const other = await aTenant(notifier.api);
    const ask = () => notifier.api.call('GET', '/notifications/webhook-secret', { key: other.key });
    const secrets = new Set(
      (await inParallel([...Array(20).keys()], 20, ask)).map((r) => r.body.data.secret as string),
    );
    assert.equal(secrets.size, 1);
    const [secret] = secrets;
    const [row] = await notifier.api.database.query<{ n: number }>(
      `SELECT count(*) AS n FROM notification_secrets WHERE client_id = $1 AND position(convert_to($2, 'UTF8') in secret) = 0`,
      [other.id, secret],
    );
    assert.equal(row!.n, 1);
  });

  it('is tried again under the same id and a signature of its own, whatever the answer was', async () => {
    const answers = [500, 302, 404];
    notifier.http.answer = (_request, response) => {
      const status = answers.shift() ?? 200;
      response.writeHead(status, status === 302 ? { location: `${notifier.httpUrl}/elsewhere` } : {}).end('answer');
    };
    const created = await post('/again');
    const sent = await untilStatus(notifier.tenant, created.id, 'sent');
    const { attempts } = sent.deliveries[0];
    assert.deepEqual(
      attempts.map((one: { error_code: string | null }) => one.error_code),
      ['WEBHOOK_STATUS', 'WEBHOOK_STATUS', 'WEBHOOK_STATUS', null],
    );
    assert.equal(attempts[0].error, 'The receiver answered 500');
    const requests = notifier.http.at('/again');
    assert.equal(requests.length, 4);
    assert.equal(new Set(requests.map((request) => request.headers['webhook-id'])).size, 1);
    assert.deepEqual(
      requests.map((request) => JSON.parse(request.body).meta.attempt),
      [1, 2, 3, 4],
    );
    assert.equal(notifier.http.at('/elsewhere').length, 0, 'no redirect is followed');
  });

  it('fails after the fourth try, and at once on 410', async () => {
    notifier.http.answer = (request, response) => void response.writeHead(request.path === '/gone' ? 410 : 503).end();
    const [down, gone] = [await post('/down'), await post('/gone')];
    assert.equal((await untilStatus(notifier.tenant, down.id, 'failed')).deliveries[0].attempts.length, 4);
    const done = await untilStatus(notifier.tenant, gone.id, 'failed');
    assert.equal(done.deliveries[0].attempts.length, 1);
    assert.deepEqual([done.error_code, done.error], ['WEBHOOK_STATUS', 'The receiver answered 410']);
  });

  it('survives a receiver that hangs up, talks nonsense, or says too much', async () => {
    notifier.http.answer = (request, response) => {
      if (request.path === '/hangs-up') response.destroy();
      else if (request.path === '/nonsense') response.socket!.end('this is not HTTP\r\n\r\n');
      else response.writeHead(200).end('x'.repeat(1024 * 1024));
    };
    const [hangsUp, nonsense, long] = [await post('/hangs-up'), await post('/nonsense'), await post('/long')];
    assert.match((await untilStatus(notifier.tenant, hangsUp.id, 'failed')).error_code, /^EGRESS_/);
    assert.match((await untilStatus(notifier.tenant, nonsense.id, 'failed')).error_code, /^EGRESS_/);
    await untilStatus(notifier.tenant, long.id, 'sent');
    const [row] = await notifier.api.database.query<{ n: number }>(
      `SELECT max(length(a.response_body)) AS n FROM delivery_attempts a JOIN deliveries d ON d.id = a.delivery_id
       WHERE d.source_id = $1`,
      [long.id],
    );
    assert.equal(row!.n, 16 * 1024);
  });

  it('is not posted again for an answer that breaks after its 200', async () => {
    notifier.http.answer = (_request, response) =>
      void response.writeHead(200, { 'content-length': '1000' }).write('x', () => response.destroy());
    const { id } = await post('/breaks');
    await untilStatus(notifier.tenant, id, 'sent');
    assert.equal(notifier.http.at('/breaks').length, 1);
  });

  it('to an address that became private is refused for good when it is due', async () => {
    const { id } = await post('/good', { scheduled_for: new Date(Date.now() + 600).toISOString() });
    await notifier.api.database.query(`UPDATE deliveries SET target = 'http://10.0.0.1/' WHERE source_id = $1`, [id]);
    const done = await untilStatus(notifier.tenant, id, 'failed');
    assert.equal(done.error_code, 'EGRESS_ADDRESS_REFUSED');
    assert(!done.error.includes('10.0.0.1'), 'the error names no address');
  });
});
