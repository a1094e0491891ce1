import assert from 'node:assert/strict';
import { aTenant, startApi, type TestApi, type TestTenant } from './api.js';
import { until } from './concurrency.js';
import { HttpSink } from './http-sink.js';
import { anOwnDatabase } from './own-database.js';
import { SmtpSink } from './smtp-sink.js';

/** An application that delivers, on a database of its own so that no other test's engine takes its deliveries. */
export interface Notifier {
  api: TestApi;
  tenant: TestTenant;
  smtp: SmtpSink;
  http: HttpSink;
  httpUrl: string;
  databaseUrl: string;
  env: Record<string, string>;
  stop(): Promise<void>;
}

/** Starts one with a mail server and an HTTP receiver beside it; retries come at once unless told otherwise. */
export async function startNotifier(env: Record<string, string> = {}): Promise<Notifier> {
  const database = await anOwnDatabase();
  const [smtp, http] = [new SmtpSink(), new HttpSink()];
  const [mailUrl, httpUrl] = [await smtp.start(), await http.start()];
  const all = {
    JOBS: 'on',
    MAIL_URL: mailUrl,
    EGRESS_ALLOWED_CIDRS: '127.0.0.0/8',
    NOTIFICATION_RETRY_SCHEDULE: '0,0,0',
    ...env,
  };
  const api = await startApi(all, database.url);
  return {
    api,
    tenant: await aTenant(api),
    smtp,
    http,
    httpUrl,
    databaseUrl: database.url,
    env: all,
    stop: async () => {
      await api.stop();
      await Promise.all([smtp.stop(), http.stop()]);
      await database.drop();
    },
  };
}

/** One notification with its deliveries, as the API shows it. */
export async function readNotification({ api, key }: TestTenant, id: string) {
  const reply = await api.call('GET', `/notifications/${id}`, { key });
  assert.equal(reply.status, 200, reply.text);
  return reply.body.data;
}

/** Waits until a notification stands where it should, and answers it. */
export async function untilStatus(tenant: TestTenant, id: string, ...statuses: string[]) {
  let seen = await readNotification(tenant, id);
  await until(`${statuses.join(' or ')} (is ${seen.status})`, async () => {
    seen = await readNotification(tenant, id);
    return statuses.includes(seen.status);
  });
  return seen;
}
