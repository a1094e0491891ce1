/** What sending and reading messages costs, against bare Fastify with pg (R1) and the usual Nest stack (R2). */
import type { Load, LoadRequest, Measurement } from './load.js';
import { API_KEY } from './references.js';
import { Bench, type Server } from './servers.js';
import { median } from '../support/concurrency.js';

const ROOMS = 1000;
const CONTENT = 'A message of the usual length. '.repeat(8);
const POOL_SIZES = [4, 8, 16, 32];
const DEPTH_PAGES = 200;

type Loader = (load: Load) => Promise<Measurement>;

interface Target {
  server: Server;
  key: string;
  rooms: string[];
}

interface Scenario {
  name: string;
  target: Target;
  connections: number;
  requests: LoadRequest[];
  measured: Measurement[];
}

async function post(
  target: { server: Server; key: string },
  path: string,
  body: object,
): Promise<Record<string, string>> {
  const response = await fetch(`${target.server.url}/api/v1${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${target.key}` },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`POST ${path}: ${response.status} ${await response.text()}`);
  return ((await response.json()) as { data: Record<string, string> }).data;
}

/** A tenant, a user and its rooms, through the API. */
async function prepareSubject(server: Server): Promise<Target> {
  const client = await post({ server, key: '' }, '/clients', { name: 'Benchmark' });
  const user = await post({ server, key: client['master_api_key']! }, '/users', {
    email: 'b@example.com',
    username: 'b',
  });
  const target: Target = { server, key: user['scoped_api_key']!, rooms: [] };
  for (let made = 0; made < ROOMS; made += 20) {
    const batch = Array.from({ length: 20 }, (_, i) => post(target, '/rooms', { name: `Room ${made + i}` }));
    target.rooms.push(...(await Promise.all(batch)).map((room) => room['id']!));
  }
  return target;
}

function sends(rooms: string[]): LoadRequest[] {
  return rooms.map((room_id) => ({
    method: 'POST',
    path: '/api/v1/messages',
    body: JSON.stringify({ room_id, content: CONTENT, message_type: 'text' }),
  }));
}

function load(target: Target, connections: number, requests: LoadRequest[], measureMs: number): Load {
  return {
    url: target.server.url,
    connections,
    requests,
    measureMs,
    warmUpMs: 1000,
    serverPid: target.server.pid,
    headers: { authorization: `Bearer ${target.key}` },
  };
}

/** R1 with the pool size at which it is fastest. */
async function bestR1(bench: Bench, run: Loader, rooms: string[]): Promise<{ target: Target; size: number }> {
  let best: { target: Target; size: number; perSecond: number } | undefined;
  for (const size of POOL_SIZES) {
    const target: Target = { server: await bench.reference('reference-r1', size), key: API_KEY, rooms };
    const { perSecond } = await run(load(target, 64, sends(rooms), 2000));
    if (best && best.perSecond >= perSecond) await target.server.stop();
    else {
      await best?.target.server.stop();
      best = { target, size, perSecond };
    }
  }
  return best!;
}

/** The path of a page deep in a room, reached by cursors. */
async function deepPage(target: Target, room: string): Promise<string> {
  let path = `/api/v1/messages?room_id=${room}&size=20`;
  for (let page = 0; page < DEPTH_PAGES; page++) {
    const response = await fetch(target.server.url + path, { headers: { authorization: `Bearer ${target.key}` } });
    const { pagination } = (await response.json()) as { pagination: { next_cursor: string } };
    path = `/api/v1/messages?room_id=${room}&size=20&cursor=${pagination.next_cursor}`;
  }
  return path;
}

function table(scenarios: Scenario[]): string {
  const base = new Map<string, number>();
  const lines = [
    '| scenario | server | per second | p50 ms | p99 ms | CPU µs/request | ÷ R1 | ÷ R2 |',
    '|---|---|---|---|---|---|---|---|',
  ];
  for (const { name, measured } of scenarios) base.set(name, median(measured.map((m) => m.perSecond)));
  for (const { name, measured } of scenarios) {
    const [what, who] = name.split(' · ') as [string, string];
    const perSecond = base.get(name)!;
    const versus = (reference: string): string => {
      const other = base.get(`${what.replace(/ \(.*/, '')} · ${reference}`);
      return other ? (perSecond / other).toFixed(2) : '–';
    };
    const of = (pick: (m: Measurement) => number, digits: number): string => median(measured.map(pick)).toFixed(digits);
    lines.push(
      `| ${what} | ${who} | ${Math.round(perSecond)} | ${of((m) => m.p50Ms, 2)} | ${of((m) => m.p99Ms, 2)} | ${of((m) => m.serverCpuUs, 0)} | ${versus('R1')} | ${versus('R2')} |`,
    );
  }
  return lines.join('\n');
}

async function measure(bench: Bench, rounds: number, seconds: number): Promise<void> {
  const run = bench.loader();
  const ours = await prepareSubject(await bench.subject());
  const r1 = await bestR1(bench, run, ours.rooms);
  const r2: Target = { server: await bench.reference('reference-r2', 16), key: API_KEY, rooms: ours.rooms };
  const one = [ours.rooms[0]!];
  for (const target of [ours, r1.target]) await run({ ...load(target, 32, sends(one), 0), amount: 6000 });
  const page = (path: string): LoadRequest[] => [{ method: 'GET', path }];
  const newest = `/api/v1/messages?room_id=${one[0]}&size=20`;
  const scenario = (name: string, target: Target, connections: number, requests: LoadRequest[]): Scenario => ({
    name,
    target,
    connections,
    requests,
    measured: [],
  });
  const scenarios = [
    scenario('send 64 connections · ours', ours, 64, sends(ours.rooms)),
    scenario('send 64 connections · R1', r1.target, 64, sends(ours.rooms)),
    scenario('send 64 connections · R2', r2, 64, sends(ours.rooms)),
    scenario('send 64 connections (one room) · ours', ours, 64, sends(one)),
    scenario('send 1 connection · ours', ours, 1, sends(ours.rooms)),
    scenario('send 1 connection · R1', r1.target, 1, sends(ours.rooms)),
    scenario('page of 20 · ours', ours, 32, page(newest)),
    scenario('page of 20 (200 pages deep) · ours', ours, 32, page(await deepPage(ours, one[0]!))),
    scenario('page of 20 · R1', r1.target, 32, page(newest)),
  ];
  for (let round = 0; round < rounds; round++) {
    for (const { target, connections, requests, measured, name } of scenarios) {
      const result = await run(load(target, connections, requests, seconds * 1000));
      if (result.failures > 0) throw new Error(`${name}: ${result.failures} failures, such as ${result.failure}`);
      measured.push(result);
    }
  }
  console.log(
    `\n\`npm run bench -- messages --rounds ${rounds} --seconds ${seconds}\` · R1's best pool: ${r1.size}\n\n${table(scenarios)}`,
  );
}

/** Runs the benchmark and prints its table; ends what it started in every case. */
export async function benchMessages(rounds: number, seconds: number): Promise<void> {
  const bench = new Bench();
  process.on('SIGINT', () => void bench.stop().then(() => process.exit(130)));
  try {
    await bench.start();
    await measure(bench, rounds, seconds);
  } finally {
    await bench.stop();
  }
}
