/** What delivering events costs, against a bare undici loop; how long an event takes; what a subscription costs sends. */
import { fork, type ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { Measurement } from './load.js';
import { Bench, type Server } from './servers.js';

const CONTENT = 'A message of the usual length. '.repeat(8);
const ROOMS = 200;
const EVENTS = 6_000;
const ENDPOINTS = [1, 10];
/** What one endpoint has at once. */
const LANE = 10;

interface SinkState {
  count: number;
  ages: number[];
  sample: string;
  /** From the first to the last arrival since it was asked anew. */
  ms: number;
}

interface Tenant {
  id: string;
  key: string;
  user: string;
  rooms: string[];
}

/** Asks a child and waits for its answer. */
function ask<T>(child: ChildProcess, message: object): Promise<T> {
  return new Promise((resolve, reject) => {
    child.once('exit', reject);
    child.once('message', (answer) => {
      child.off('exit', reject);
      resolve(answer as T);
    });
    child.send(message);
  });
}

function percentile(values: number[], fraction: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? Number.NaN;
}

const median = (values: number[]): number => percentile(values, 0.5);

class Webhooks {
  private readonly children: ChildProcess[] = [];
  private sink!: ChildProcess;
  private loop!: ChildProcess;
  private sinkUrl = '';
  private server!: Server;
  private database!: pg.Client;

  constructor(private readonly bench: Bench) {}

  async start(): Promise<void> {
    this.sink = this.fork('webhook-sink');
    const { port } = await new Promise<{ port: number }>((resolve) => this.sink.once('message', resolve as never));
    this.sinkUrl = `http://127.0.0.1:${port}/`;
    this.loop = this.fork('webhook-loop');
    process.env['EGRESS_ALLOWED_CIDRS'] = '127.0.0.0/8';
    this.server = await this.bench.subject();
    this.database = new pg.Client({ connectionString: this.bench.subjectUrl });
    await this.database.connect();
  }

  async stop(): Promise<void> {
    await this.database?.end();
    for (const child of this.children) child.kill('SIGKILL');
  }

  async tenant(endpoints: number): Promise<Tenant> {
    const client = await this.post('', '/clients', { name: 'Benchmark' });
    const key = client['master_api_key']!;
    const user = await this.post(key, '/users', { email: 'b@example.com', username: 'b' });
    const rooms: string[] = [];
    for (let made = 0; made < ROOMS; made += 20) {
      const batch = Array.from({ length: 20 }, (_, i) =>
        this.post(user['scoped_api_key']!, '/rooms', { name: `Room ${made + i}` }),
      );
      rooms.push(...(await Promise.all(batch)).map((room) => room['id']!));
    }
    for (let i = 0; i < endpoints; i++) {
      await this.post(key, '/webhooks', { url: `${this.sinkUrl}${i}`, events: ['message.created'] });
    }
    return { id: client['id']!, key, user: user['scoped_api_key']!, rooms };
  }

  /** Endpoints that never answer; `active` switches them on and off. */
  async hanging(tenant: Tenant, count: number): Promise<(active: boolean) => Promise<void>> {
    const made = await Promise.all(
      Array.from({ length: count }, () =>
        this.call('POST', tenant.key, '/webhooks', { url: `${this.sinkUrl}hang`, events: ['message.created'] }),
      ),
    );
    return async (active) => {
      for (const { id } of made) await this.call('PUT', tenant.key, `/webhooks/${id}`, { is_active: active });
    };
  }

  async send(tenant: Tenant, index: number): Promise<void> {
    await this.post(tenant.user, '/messages', { room_id: tenant.rooms[index % ROOMS], content: CONTENT });
  }

  /**
   * Events of one message, committed at once; how many deliveries per second from the first to the last: nobody told the
   * relay of them, so it finds them at its next look.
   */
  async deliveries(tenant: Tenant, endpoints: number): Promise<number> {
    const before = (await ask<SinkState>(this.sink, { anew: true })).count;
    await this.database.query(
      `INSERT INTO events (client_id, id, event, room_id, data, created_at)
       SELECT e.client_id, gen_random_uuid(), e.event, e.room_id, e.data, clock_timestamp()
       FROM (SELECT * FROM events WHERE client_id = $1 LIMIT 1) e, generate_series(1, $2)`,
      [tenant.id, EVENTS / endpoints],
    );
    await this.arrived(before + EVENTS);
    return EVENTS / ((await this.state()).ms / 1000);
  }

  async bare(concurrency: number): Promise<number> {
    const { sample } = await this.state();
    const order = { url: this.sinkUrl, body: sample, amount: EVENTS, concurrency };
    return (await ask<{ perSecond: number }>(this.loop, order)).perSecond;
  }

  /** Ages of events at their receipt, sent at a steady rate. */
  async latencies(tenant: Tenant, perSecond: number, seconds: number, endpoints = 1): Promise<number[]> {
    const { count } = await ask<SinkState>(this.sink, { keepAges: true });
    const amount = perSecond * seconds;
    const started = performance.now();
    const sending: Promise<void>[] = [];
    for (let i = 0; i < amount; i++) {
      const wait = started + (i * 1000) / perSecond - performance.now();
      if (wait > 0) await delay(wait);
      sending.push(this.send(tenant, i));
    }
    await Promise.all(sending);
    await this.arrived(count + amount * endpoints);
    return (await ask<SinkState>(this.sink, { keepAges: false })).ages;
  }

  /** Sends over 64 connections for as long as the run lasts. */
  sends(run: ReturnType<Bench['loader']>, tenant: Tenant, seconds: number): Promise<Measurement> {
    return run({
      url: this.server.url,
      connections: 64,
      measureMs: seconds * 1000,
      warmUpMs: 500,
      serverPid: this.server.pid,
      headers: { authorization: `Bearer ${tenant.user}` },
      requests: tenant.rooms.map((room_id) => ({
        method: 'POST',
        path: '/api/v1/messages',
        body: JSON.stringify({ room_id, content: CONTENT }),
      })),
    });
  }

  /** Waits until nothing is left to deliver. */
  async idle(): Promise<void> {
    for (;;) {
      const { rows } = await this.database.query<{ n: string }>(
        `SELECT (SELECT count(*) FROM events WHERE relayed_at IS NULL) + (SELECT count(*) FROM deliveries
           WHERE next_attempt_at IS NOT NULL) AS n`,
      );
      if (Number(rows[0]!.n) === 0) return;
      await delay(100);
    }
  }

  private state(): Promise<SinkState> {
    return ask<SinkState>(this.sink, {});
  }

  private async arrived(count: number): Promise<void> {
    while ((await this.state()).count < count) await delay(5);
  }

  private fork(name: string): ChildProcess {
    const child = fork(new URL(`./${name}.js`, import.meta.url));
    this.children.push(child);
    return child;
  }

  private post(key: string, path: string, body: object): Promise<Record<string, string>> {
    return this.call('POST', key, path, body);
  }

  private async call(method: string, key: string, path: string, body: object): Promise<Record<string, string>> {
    const response = await fetch(`${this.server.url}/api/v1${path}`, {
      method,
      headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return ((await response.json()) as { data: Record<string, string> }).data;
  }
}

async function throughput(webhooks: Webhooks, rounds: number): Promise<void> {
  console.log('| endpoints | at once | events/s | bare undici loop/s | ratio |\n|---|---|---|---|---|');
  for (const endpoints of ENDPOINTS) {
    const tenant = await webhooks.tenant(endpoints);
    await webhooks.send(tenant, 0);
    await webhooks.idle();
    const ours: number[] = [];
    const bare: number[] = [];
    for (let round = 0; round <= rounds; round++) {
      const measured = [await webhooks.deliveries(tenant, endpoints), await webhooks.bare(LANE * endpoints)];
      await webhooks.idle();
      // The first round warms both up.
      if (round === 0) continue;
      ours.push(measured[0]!);
      bare.push(measured[1]!);
    }
    const [a, b] = [median(ours), median(bare)];
    console.log(`| ${endpoints} | ${LANE * endpoints} | ${Math.round(a)} | ${Math.round(b)} | ${(a / b).toFixed(2)} |`);
  }
}

async function latency(webhooks: Webhooks): Promise<void> {
  const tenant = await webhooks.tenant(1);
  await webhooks.latencies(tenant, 20, 1);
  console.log('\n| messages/s | p50 ms | p99 ms |\n|---|---|---|');
  for (const perSecond of [20, 200]) {
    const ages = await webhooks.latencies(tenant, perSecond, 5);
    console.log(`| ${perSecond} | ${percentile(ages, 0.5)} | ${percentile(ages, 0.99)} |`);
  }
}

/** Fifty good endpoints, alone and beside five that hang: how old events are at the good ones. */
async function isolation(webhooks: Webhooks, rounds: number): Promise<void> {
  const [good, bad, perSecond, seconds] = [50, 5, 10, 4];
  const tenant = await webhooks.tenant(good);
  const hang = await webhooks.hanging(tenant, bad);
  const ages = { alone: [] as number[], beside: [] as number[] };
  for (let round = 0; round <= rounds; round++) {
    for (const how of ['alone', 'beside'] as const) {
      await hang(how === 'beside');
      const measured = await webhooks.latencies(tenant, perSecond, seconds, good);
      // The first round warms up.
      if (round > 0) ages[how].push(...measured);
    }
  }
  await hang(false);
  console.log(`\n| ${good} good endpoints, ${perSecond} messages/s | p50 ms | p99 ms |\n|---|---|---|`);
  for (const [name, all] of [
    ['alone', ages.alone],
    [`beside ${bad} that hang`, ages.beside],
  ] as const) {
    console.log(`| ${name} | ${percentile(all, 0.5)} | ${percentile(all, 0.99)} |`);
  }
}

async function sendsWithWebhook(bench: Bench, webhooks: Webhooks, rounds: number, seconds: number): Promise<void> {
  const run = bench.loader();
  const [plain, subscribed] = [await webhooks.tenant(0), await webhooks.tenant(1)];
  const without: Measurement[] = [];
  const withOne: Measurement[] = [];
  for (let round = 0; round < rounds; round++) {
    without.push(await webhooks.sends(run, plain, seconds));
    withOne.push(await webhooks.sends(run, subscribed, seconds));
    await webhooks.idle();
  }
  const perSecond = (all: Measurement[]): number => median(all.map((one) => one.perSecond));
  const failures = [...without, ...withOne].reduce((sum, one) => sum + one.failures, 0);
  if (failures > 0) throw new Error(`${failures} sends failed`);
  const ratio = (perSecond(withOne) / perSecond(without)).toFixed(2);
  console.log('\n| sends, 64 connections | per second | p99 ms | ratio |\n|---|---|---|---|');
  for (const [name, all, last] of [
    ['no webhook', without, '1.00'],
    ['one subscribing endpoint', withOne, ratio],
  ] as const) {
    console.log(
      `| ${name} | ${Math.round(perSecond(all))} | ${median(all.map((one) => one.p99Ms)).toFixed(1)} | ${last} |`,
    );
  }
}

/** Prints all tables, or those of a list such as `latency,sends`: throughput, latency, isolation, sends. Ends what it started in every case. */
export async function benchWebhooks(rounds: number, seconds: number, part?: string): Promise<void> {
  const wants = (name: string): boolean => part === undefined || part.split(',').includes(name);
  const bench = new Bench();
  const webhooks = new Webhooks(bench);
  try {
    await bench.start();
    await webhooks.start();
    console.log(`\n\`npm run bench -- webhooks${part ? ` ${part}` : ''} --rounds ${rounds} --seconds ${seconds}\`\n`);
    if (wants('throughput')) await throughput(webhooks, rounds);
    if (wants('latency')) await latency(webhooks);
    if (wants('isolation')) await isolation(webhooks, rounds);
    if (wants('sends')) await sendsWithWebhook(bench, webhooks, rounds, seconds);
  } finally {
    await webhooks.stop();
    await bench.stop();
  }
}
