import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { Webhook } from 'standardwebhooks';
import { call } from '../support/api.js';
import { ApiProcess } from '../support/api-process.js';
import { startChild, type Child } from '../support/child.js';
import { until } from '../support/concurrency.js';
import { HttpSink } from '../support/http-sink.js';
import { anOwnDatabase } from '../support/own-database.js';
import { SmtpSink } from '../support/smtp-sink.js';

it('an API that runs no jobs and a worker deliver mails and webhooks together', async (t) => {
  const own = await anOwnDatabase();
  const [smtp, http] = [new SmtpSink(), new HttpSink()];
  const [mailUrl, httpUrl] = [await smtp.start(), await http.start()];
  const dataDir = mkdtempSync(join(tmpdir(), 'chatapi-api-and-worker-'));
  const env = {
    DATABASE_URL: own.url,
    DATA_DIR: dataDir,
    ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
    MAIL_URL: mailUrl,
    EGRESS_ALLOWED_CIDRS: '127.0.0.0/8',
  };
  const server = await ApiProcess.make({ ...env, JOBS: 'off' });
  const workers: Child[] = [];
  t.after(async () => {
    await Promise.all([server.kill(), ...workers.map((one) => one.kill()), smtp.stop(), http.stop()]);
    await own.drop();
    rmSync(dataDir, { recursive: true, force: true });
  });
  await server.start();
  const post = async (path: string, body: object, key?: string) => {
    const reply = await call(`${server.url}/api/v1${path}`, 'POST', { key, body });
    assert.equal(reply.status, 201, reply.text);
    return reply.body.data;
  };
  const key = (await post('/clients', { name: 'Two processes' })).master_api_key as string;
  const webhook = await post('/webhooks', { url: `${httpUrl}/hook`, events: ['room.created'] }, key);
  const room = await post('/rooms', { name: 'General' }, key);
  const mail = { type: 'email', to_email: 'user@example.com', subject: 'Welcome!', content: '<h1>Welcome</h1>' };
  const { id } = await post('/notifications', mail, key);
  const status = async () => (await call(`${server.url}/api/v1/notifications/${id}`, 'GET', { key })).body.data.status;
  assert.equal(await status(), 'pending', 'nothing is delivered by a process without jobs');
  const worker = startChild('apps/worker/src/main.js', env);
  workers.push(worker);
  await until('the mail is sent', async () => (await status()) === 'sent');
  await until('the webhook is told', () => http.at('/hook').length > 0);
  const [told, ...more] = http.at('/hook');
  assert.equal(more.length, 0);
  const payload = new Webhook(webhook.secret).verify(told!.body, told!.headers as Record<string, string>) as {
    event: string;
    data: { id: string };
  };
  assert.deepEqual([payload.event, payload.data.id], ['room.created', room.id]);
  worker.process.kill('SIGTERM');
  assert.equal(await worker.exit, 0, worker.output());
  await server.stop();
});
