/** What notifications cost: accepted against one bare INSERT each, delivered against nodemailer alone, and the way between. */
import { fork, type ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { startRedisServer } from '../support/redis-server.js';
import type { Load, LoadRequest, Measurement } from './load.js';
import type { MailSinkReport } from './mail-sink.js';
import { Bench, type Server } from './servers.js';
import { median } from '../support/concurrency.js';

/** Connections of the SMTP pool of a client, which the reference has too. */
const POOL = 5;
const MAILS = 3_000;
const ANALYTICS_ROWS = 1_000_000;
const CONTENT = '<p>A notification of the usual length.</p>'.repeat(6);

type Loader = (load: Load) => Promise<Measurement>;

function request(body: object): LoadRequest {
  return { method: 'POST', path: '/api/v1/notifications', body: JSON.stringify(body) };
}

async function post<T>(server: Server, key: string, path: string, body: object): Promise<T> {
  const response = await fetch(`${server.url}/api/v1${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`POST ${path}: ${response.status} ${await response.text()}`);
  return ((await response.json()) as { data: T }).data;
}

async function register(server: Server): Promise<{ id: string; key: string }> {
  const client = await post<{ id: string; master_api_key: string }>(server, '', '/clients', { name: 'Benchmark' });
  return { id: client.id, key: client.master_api_key };
}

/** A mail server in a process of its own, that counts and forgets. */
class MailSink {
  private constructor(
    private readonly child: ChildProcess,
    readonly url: string,
  ) {}

  static async start(): Promise<MailSink> {
    const child = fork(new URL('./mail-sink.js', import.meta.url));
    const url = await new Promise<string>((resolve, reject) => {
      child.once('message', (told) => resolve(told as string)).once('exit', reject);
    });
    return new MailSink(child, url);
  }

  /** What came since the last time it was asked. */
  report(): Promise<MailSinkReport> {
    return new Promise((resolve) => {
      this.child.once('message', (told) => resolve(told as MailSinkReport));
      this.child.send('report');
    });
  }

  /** Waits until so many have come; answers them. */
  async take(count: number): Promise<MailSinkReport> {
    const taken: MailSinkReport = { arrivals: [] };
    for (let tries = 0; tries < 6000 && taken.arrivals.length < count; tries++) {
      taken.arrivals.push(...(await this.report()).arrivals);
      if (taken.arrivals.length < count) await delay(10);
    }
    if (taken.arrivals.length < count) throw new Error(`Only ${taken.arrivals.length} of ${count} mails came.`);
    return taken;
  }

  stop(): void {
    this.child.kill();
  }
}

/** Mails per second between the first and the last that came. */
function rate({ arrivals }: MailSinkReport): number {
  const times = arrivals.map(({ at }) => at).sort((a, b) => a - b);
  return (1000 * (times.length - 1)) / (times.at(-1)! - times[0]!);
}

/** nodemailer alone, in a loop over the same pool, in a process of its own. */
async function nodemailerAlone(sink: MailSink): Promise<number> {
  const child = fork(new URL('./nodemailer-loop.js', import.meta.url), [
    sink.url,
    String(POOL),
    String(MAILS),
    CONTENT,
  ]);
  const exit = new Promise((resolve) => child.once('exit', resolve));
  const taken = await sink.take(MAILS);
  await exit;
  return rate(taken);
}

/** Everything is accepted first and due at one instant: what is measured is delivery alone. */
async function delivered(server: Server, sink: MailSink): Promise<number> {
  const { key } = await register(server);
  const scheduled_for = new Date(Date.now() + 4_000).toISOString();
  for (let sent = 0; sent < MAILS; sent += 100) {
    const notifications = Array.from({ length: 100 }, (_, i) => ({
      type: 'email',
      to_email: `user${sent + i}@example.com`,
      subject: 'Benchmark',
      content: CONTENT,
      scheduled_for,
    }));
    await post(server, key, '/notifications/batch', { notifications });
  }
  if (Date.now() > Date.parse(scheduled_for)) throw new Error('The batches took longer than until they are due.');
  return rate(await sink.take(MAILS));
}

/** From the 201 to the last byte of DATA, one notification at a time. */
async function latency(server: Server, sink: MailSink): Promise<{ p50: number; p99: number }> {
  const { key } = await register(server);
  const times: number[] = [];
  for (let i = 0; i < 300; i++) {
    await post(server, key, '/notifications', {
      type: 'email',
      to_email: `user${i}@example.com`,
      subject: 'Benchmark',
      content: CONTENT,
    });
    const answeredAt = Date.now();
    const { arrivals } = await sink.take(1);
    times.push(Math.max(0, arrivals[0]!.at - answeredAt));
  }
  times.sort((a, b) => a - b);
  return { p50: times[150]!, p99: times[297]! };
}

/** Requests accepted per second, ours and one bare INSERT each, in turn. JOBS=off: nothing is delivered meanwhile. */
async function accepted(bench: Bench, load: Loader, rounds: number, measureMs: number): Promise<void> {
  const subject = await bench.subject({ JOBS: 'off', RATE_LIMIT_NOTIFICATIONS: '100000000/3600' });
  const { key } = await register(subject);
  const reference = await bench.reference('reference-notifications', 16);
  const body = { type: 'email', to_email: 'user@example.com', subject: 'Benchmark', content: CONTENT };
  const ask = (server: Server, connections: number) =>
    load({
      url: server.url,
      connections,
      requests: [request(body)],
      measureMs,
      warmUpMs: 500,
      serverPid: server.pid,
      headers: { authorization: `Bearer ${key}` },
    });
  for (const connections of [1, 64]) {
    const ours: Measurement[] = [];
    const bare: Measurement[] = [];
    for (let round = 0; round < rounds; round++) {
      ours.push(await ask(subject, connections));
      bare.push(await ask(reference, connections));
    }
    const failed = [...ours, ...bare].find((one) => one.failures > 0);
    if (failed) throw new Error(`A request failed: ${failed.failure}`);
    const [a, b] = [median(ours.map((one) => one.perSecond)), median(bare.map((one) => one.perSecond))];
    const p99 = median(ours.map((one) => one.p99Ms)).toFixed(1);
    console.log(
      `| accepted per second, ${connections} connections | ${a.toFixed(0)} | ${b.toFixed(0)} (bare INSERT) | ${(a / b).toFixed(2)} | p99 ${p99} ms |`,
    );
  }
  await subject.stop();
  await reference.stop();
}

async function mails(bench: Bench, sink: MailSink, rounds: number): Promise<void> {
  const redis = await startRedisServer();
  const engines: [string, Record<string, string>][] = [['in process', {}]];
  if (redis) engines.push(['Bull', { REDIS_URL: redis.url }]);
  try {
    for (const [name, more] of engines) {
      const env = { JOBS: 'on', MAIL_URL: sink.url, RATE_LIMIT_NOTIFICATIONS: '100000000/3600', ...more };
      const subject = await bench.subject(env);
      const ours: number[] = [];
      const alone: number[] = [];
      for (let round = 0; round < rounds; round++) {
        ours.push(await delivered(subject, sink));
        alone.push(await nodemailerAlone(sink));
      }
      const { p50, p99 } = await latency(subject, sink);
      const [a, b] = [median(ours), median(alone)];
      console.log(
        `| mails per second, ${name} | ${a.toFixed(0)} | ${b.toFixed(0)} (nodemailer alone) | ${(a / b).toFixed(2)} | 201 → DATA p50 ${p50} ms, p99 ${p99} ms |`,
      );
      await subject.stop();
    }
  } finally {
    await redis?.stop();
  }
}

/** Analytics of a tenant with a million notifications. */
async function analytics(bench: Bench): Promise<void> {
  const subject = await bench.subject({ JOBS: 'off', RATE_LIMIT_NOTIFICATIONS: 'off' });
  const { id, key } = await register(subject);
  const sql = new pg.Client({ connectionString: subject.databaseUrl });
  await sql.connect();
  await sql.query(
    `INSERT INTO notifications (client_id, id, type, status, priority, subject, content, recipients_total,
       recipients_pending, recipients_sent, recipients_failed, delivery_ms, finished_at, created_at, updated_at)
     SELECT $1, gen_random_uuid(), (ARRAY['email', 'websocket', 'webhook'])[1 + i % 3],
       CASE WHEN i % 20 = 0 THEN 'failed' ELSE 'sent' END, 'normal', 'Benchmark', 'content', 1, 0,
       (i % 20 <> 0)::int, (i % 20 = 0)::int, i % 1000, at, at, at
     FROM (SELECT i, now() - i * interval '30 seconds' AS at FROM generate_series(1, ${ANALYTICS_ROWS}) AS i) AS rows`,
    [id],
  );
  await sql.query('VACUUM (ANALYZE) notifications');
  await sql.end();
  const time = async (query: string) => {
    const times: number[] = [];
    for (let i = 0; i < 5; i++) {
      const started = performance.now();
      const response = await fetch(`${subject.url}/api/v1/notifications/analytics${query}`, {
        headers: { authorization: `Bearer ${key}` },
      });
      if (!response.ok) throw new Error(`Analytics: ${response.status}`);
      await response.json();
      times.push(performance.now() - started);
    }
    return median(times).toFixed(0);
  };
  const since = new Date(Date.now() - 30 * 86_400_000).toISOString().slice(0, 10);
  console.log(
    `| analytics over 1,000,000 notifications | ${await time('')} ms | | | the last 30 days: ${await time(`?start_date=${since}`)} ms |`,
  );
  await subject.stop();
}

/** Prints one row per measurement; `part` narrows it to one of them. */
export async function benchDeliveries(rounds: number, seconds: number, part: string | undefined): Promise<void> {
  const bench = new Bench();
  await bench.start();
  const sink = await MailSink.start();
  const parts: Record<string, () => Promise<void>> = {
    accepted: () => accepted(bench, bench.loader(), rounds, seconds * 1000),
    mails: () => mails(bench, sink, rounds),
    analytics: () => analytics(bench),
  };
  try {
    console.log('| | ours | reference | ratio | |\n|---|---|---|---|---|');
    for (const [name, run] of Object.entries(parts)) if (part === undefined || part === name) await run();
  } finally {
    sink.stop();
    await bench.stop();
  }
}
