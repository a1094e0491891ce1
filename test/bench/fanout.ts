/** What a delivery to a socket costs, against stock Socket.IO and bare `ws` broadcasting the same bytes. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { CrowdOptions, Published, PublishOptions } from './fanout-crowd.js';
import { freePort } from '../support/free-port.js';
import { Bench, type Server } from './servers.js';
import { median } from '../support/concurrency.js';

const CONTENT = 'A message of the usual length. '.repeat(8);
const IN_FLIGHT = [1, 16];

interface Target {
  name: string;
  way: 'websocket' | 'socketio';
  child: ChildProcess;
  crowd: CrowdOptions;
  publish: Omit<PublishOptions, 'inFlight' | 'ms'>;
  idle: Memory;
  run: (task: object) => Promise<unknown>;
  measured: Map<number, (Published & { cpuUs: number })[]>;
}

interface Memory {
  /** Bytes JavaScript holds after a collection. */
  held: number;
  rss: number;
}

/** CPU time in µs, or memory, as the server's own process counts it. */
async function usage<T extends number | Memory>(child: ChildProcess, what: 'cpu' | 'memory'): Promise<T> {
  child.send(what);
  return (await once(child, 'message'))[0] as T;
}

const probe = (): string[] => ['--expose-gc', '--import', new URL('./memory-probe.js', import.meta.url).href];

async function bare(kind: 'ws' | 'socketio', port: number): Promise<ChildProcess> {
  const child = fork(new URL('./fanout-bare.js', import.meta.url), {
    execArgv: probe(),
    env: { ...process.env, BARE: kind, PORT: String(port) },
  });
  await once(child, 'message');
  return child;
}

async function api(server: Server, key: string, path: string, body: object): Promise<Record<string, string>> {
  const response = await fetch(`${server.url}/api/v1${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify(body),
  });
  const answer = (await response.json()) as { data: Record<string, string> };
  if (!response.ok) throw new Error(`POST ${path}: ${JSON.stringify(answer)}`);
  return answer.data;
}

/** Our server with one room per transport; every receiver is a socket of the room's one user. */
async function ours(server: Server & { child: ChildProcess }, way: Target['way'], count: number): Promise<Target> {
  const client = await api(server, '', '/clients', { name: `Fan-out ${way}` });
  const key = client['master_api_key']!;
  const user = await api(server, key, '/users', { email: 'f@example.com', username: 'f' });
  const room = await api(server, user['scoped_api_key']!, '/rooms', { name: 'Everybody' });
  const name = `ours · ${way}`;
  return {
    name,
    way,
    child: server.child,
    crowd: { name, port: Number(new URL(server.url).port), way, token: user['scoped_api_key'], count },
    publish: {
      name,
      url: `${server.url}/api/v1/messages`,
      headers: { 'content-type': 'application/json', authorization: `Bearer ${user['scoped_api_key']}` },
      body: JSON.stringify({ room_id: room['id'], content: CONTENT }),
    },
    idle: { held: 0, rss: 0 },
    run: () => Promise.reject(new Error('No crowd')),
    measured: new Map(),
  };
}

/** A bare server that broadcasts a frame as ours does. */
async function theirs(way: Target['way'], count: number): Promise<Target> {
  const port = await freePort();
  const name = way === 'websocket' ? 'bare ws' : 'stock Socket.IO';
  const id = '0198c0de-1111-7000-8000-000000000001';
  const at = '2024-01-01T12:00:00.000Z';
  const data = {
    ...{
      id,
      room_id: id,
      seq: 1000,
      sender_id: id,
      sender_name: 'f',
      content: CONTENT,
      message_type: 'text',
      meta: {},
    },
    ...{ reply_to: null, client_message_id: null, is_edited: false, edited_at: null, edit_reason: null },
    ...{ is_deleted: false, deleted_at: null, created_at: at, updated_at: at },
  };
  return {
    name,
    way,
    child: await bare(way === 'websocket' ? 'ws' : 'socketio', port),
    crowd: { name, port, way, token: undefined, count },
    publish: {
      name,
      url: `http://127.0.0.1:${port}/publish`,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ type: 'message', room_id: id, seq: 1000, data, timestamp: at }),
    },
    idle: { held: 0, rss: 0 },
    run: () => Promise.reject(new Error('No crowd')),
    measured: new Map(),
  };
}

/** A process of receivers; one per server, because of the limit of open files. */
function crowdOf(bench: Bench): Target['run'] {
  const crowd = fork(new URL('./fanout-crowd.js', import.meta.url));
  bench.onStop(() => crowd.kill());
  return async (task) => {
    crowd.send(task);
    const [{ result, error }] = (await once(crowd, 'message')) as [{ result: unknown; error?: string }];
    if (error) throw new Error(error);
    return result;
  };
}

function table(targets: Target[]): string {
  const lines = [
    '| in flight | server | deliveries/s | ÷ bare | CPU µs/delivery | ÷ bare | send → last p50 ms | p99 ms | 201 → last p99 ms | kB per idle socket: held | resident |',
    '|---|---|---|---|---|---|---|---|---|---|---|',
  ];
  for (const inFlight of IN_FLIGHT) {
    for (const way of ['socketio', 'websocket'] as const) {
      const pair = targets.filter((target) => target.way === way);
      const of = (target: Target, pick: (one: Published & { cpuUs: number }) => number): number =>
        median(target.measured.get(inFlight)!.map(pick));
      const rate = (target: Target): number => of(target, (one) => one.deliveries / one.seconds);
      const cpu = (target: Target): number => of(target, (one) => one.cpuUs / one.deliveries);
      const base = pair[1]!;
      for (const target of pair) {
        lines.push(
          `| ${inFlight} | ${target.name} | ${Math.round(rate(target))} | ${(rate(target) / rate(base)).toFixed(2)} | ` +
            `${cpu(target).toFixed(2)} | ${(cpu(target) / cpu(base)).toFixed(2)} | ${of(target, (one) => one.p50Ms).toFixed(1)} | ` +
            `${of(target, (one) => one.p99Ms).toFixed(1)} | ${of(target, (one) => one.answeredP99Ms).toFixed(1)} | ` +
            `${(target.idle.held / 1024).toFixed(1)} | ${(target.idle.rss / 1024).toFixed(1)} |`,
        );
      }
    }
  }
  return lines.join('\n');
}

async function measure(bench: Bench, receivers: number, rounds: number, ms: number): Promise<void> {
  const many = String(receivers * 4);
  const server = await bench.subject(
    { WS_MAX_CONNECTIONS_PER_PRINCIPAL: many, WS_MAX_CONNECTIONS_PER_CLIENT: many },
    probe(),
  );
  const targets: Target[] = [];
  for (const way of ['socketio', 'websocket'] as const) {
    targets.push(await ours(server, way, receivers), await theirs(way, receivers));
  }
  for (const target of targets) {
    if (target.child !== server.child) bench.onStop(() => target.child.kill());
    target.run = crowdOf(bench);
    const before = await usage<Memory>(target.child, 'memory');
    await target.run({ open: target.crowd });
    const after = await usage<Memory>(target.child, 'memory');
    target.idle = { held: (after.held - before.held) / receivers, rss: (after.rss - before.rss) / receivers };
  }
  for (let round = 0; round <= rounds; round++) {
    for (const inFlight of IN_FLIGHT) {
      for (const target of targets) {
        const before = await usage<number>(target.child, 'cpu');
        const published = (await target.run({ publish: { ...target.publish, inFlight, ms } })) as Published;
        const cpuUs = (await usage<number>(target.child, 'cpu')) - before;
        // The first round warms up.
        if (round === 0) continue;
        const results = target.measured.get(inFlight) ?? [];
        target.measured.set(inFlight, [...results, { ...published, cpuUs }]);
      }
    }
  }
  console.log(`\n\`npm run bench -- fanout --receivers ${receivers} --rounds ${rounds}\`\n\n${table(targets)}`);
}

/** Runs the benchmark and prints its table; ends what it started in every case. */
export async function benchFanout(receivers: number, rounds: number, ms: number): Promise<void> {
  const bench = new Bench();
  process.on('SIGINT', () => void bench.stop().then(() => process.exit(130)));
  try {
    await bench.start();
    await measure(bench, receivers, rounds, ms);
  } finally {
    await bench.stop();
  }
}
