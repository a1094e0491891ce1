/** `npm run bench -- messages [--rounds 5] [--seconds 4] [--servers ours,R1,R2]`: what a send and a page cost. */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '#libs/database';
import type { LoadRequest } from './load.js';
import { bearer, messagesTo, pageOf } from './payloads.js';
import { LoadGenerator, type Server, startServer, stop, stopAll } from './processes.js';
import { API_KEY, CLIENT_ID, createReferenceTables, SENDER_ID } from './references.js';
import { median, ratio, type Row, table } from './report.js';
import { prepare } from './subject.js';

const ROOMS = 1_000;
const WARM_UP_MS = 400;
const POOL_SIZES = [4, 8, 16, 32];
const NO_LIMIT = '999999999/3600';

interface Scenario extends Row {
  readonly target: Server;
  readonly connections: number;
  readonly key: string;
  readonly requests: LoadRequest[];
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    servers: { type: 'string', default: 'ours,R1,R2' },
  },
});
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const wanted = values.servers.split(',');
const log = (line: string) => console.error(line);

async function newDatabase(postgres: EmbeddedPostgres): Promise<string> {
  const name = `bench_${randomUUID().replaceAll('-', '')}`;
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  await client.query(`CREATE DATABASE ${name}`);
  await client.end();
  // A socket URL has an empty host, which URL refuses: the database's name is replaced in the text.
  return postgres.url.replace(/\/[^/?]+\?/, `/${name}?`);
}

async function startReference(postgres: EmbeddedPostgres, file: string, poolSize: number) {
  const databaseUrl = await newDatabase(postgres);
  await createReferenceTables(databaseUrl);
  const server = await startServer(file, { DATABASE_URL: databaseUrl, POOL_SIZE: String(poolSize) });
  return { server, databaseUrl, poolSize };
}

function measure(load: LoadGenerator, s: Omit<Scenario, keyof Row>, measureMs: number) {
  const { target, connections, key, requests } = s;
  const serverPid = target.process.pid!;
  const headers = bearer(key);
  return load.run({ url: target.url, connections, headers, requests, warmUpMs: WARM_UP_MS, measureMs, serverPid });
}

/** R1 with the pool it does best with: short interleaved runs decide, the others are stopped. */
async function bestR1(postgres: EmbeddedPostgres, load: LoadGenerator, requests: LoadRequest[]) {
  const candidates = [];
  for (const size of POOL_SIZES) {
    candidates.push({ ...(await startReference(postgres, './reference-r1.js', size)), rates: [] as number[] });
  }
  for (let round = 0; round < 3; round++) {
    for (const candidate of candidates) {
      const scenario = { target: candidate.server, connections: 64, key: API_KEY, requests };
      candidate.rates.push((await measure(load, scenario, 700)).perSecond);
    }
  }
  candidates.sort((a, b) => median(b.rates) - median(a.rates));
  const [best, ...others] = candidates;
  await Promise.all(others.map((other) => stop(other.server.process)));
  return best!;
}

async function fillReferenceRoom(databaseUrl: string, roomId: string): Promise<void> {
  const { content } = JSON.parse(messagesTo([roomId])[0]!.body!) as { content: string };
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query(
    `INSERT INTO messages SELECT $1, gen_random_uuid(), $2, n, n, $3, $4, 'text', '{}', now(), now()
     FROM generate_series(1, 5200) AS n`,
    [CLIENT_ID, roomId, SENDER_ID, content],
  );
  await client.end();
}

async function scenariosOf(postgres: EmbeddedPostgres, dataDir: string, load: LoadGenerator): Promise<Scenario[]> {
  const list: Scenario[] = [];
  const add = (scenario: string, server: Row['server'], target: Server, key: string, connections: number, requests: LoadRequest[]) =>
    list.push({ scenario, server, target, key, connections, requests, rounds: [] });
  const page = (path: string): LoadRequest[] => [{ method: 'GET', path }];
  if (wanted.includes('ours')) {
    const limits = { RATE_LIMIT_MESSAGES: NO_LIMIT, RATE_LIMIT_DEFAULT: NO_LIMIT, RATE_LIMIT_AUTHENTICATION: NO_LIMIT };
    const env = { ...limits, DATABASE_URL: await newDatabase(postgres), DATA_DIR: dataDir, LOG_LEVEL: 'warn', REDIS_URL: '' };
    const ours = await startServer('../../apps/api/src/main.js', env);
    const { key, roomIds, readRoomId, deepCursor } = await prepare(ours, load, ROOMS);
    add('send, 64 connections', 'ours', ours, key, 64, messagesTo(roomIds));
    add('send to one room, 64 connections', 'ours', ours, key, 64, messagesTo(roomIds.slice(0, 1)));
    add('lone send, 1 connection', 'ours', ours, key, 1, messagesTo(roomIds));
    add('page of 20, newest', 'ours', ours, key, 64, page(pageOf(readRoomId)));
    add('page of 20, after 200 pages', 'ours', ours, key, 64, page(pageOf(readRoomId, deepCursor)));
  }
  const rooms = Array.from({ length: ROOMS }, () => randomUUID());
  let poolSize = 10;
  if (wanted.includes('R1')) {
    const r1 = await bestR1(postgres, load, messagesTo(rooms));
    poolSize = r1.poolSize;
    log(`R1 does best with a pool of ${poolSize}.`);
    const readRoomId = randomUUID();
    await fillReferenceRoom(r1.databaseUrl, readRoomId);
    add('send, 64 connections', 'R1', r1.server, API_KEY, 64, messagesTo(rooms));
    add('lone send, 1 connection', 'R1', r1.server, API_KEY, 1, messagesTo(rooms));
    add('page of 20, newest', 'R1', r1.server, API_KEY, 64, page(pageOf(readRoomId)));
  }
  if (wanted.includes('R2')) {
    const { server } = await startReference(postgres, './reference-r2.js', poolSize);
    add('send, 64 connections', 'R2', server, API_KEY, 64, messagesTo(rooms));
  }
  // Servers of one scenario stand side by side: A B C A B C.
  return list.sort((a, b) => a.scenario.localeCompare(b.scenario));
}

async function main(dataDir: string, signal: AbortSignal): Promise<void> {
  const postgres = await startEmbeddedPostgres({ dataDir: join(dataDir, 'postgres'), signal });
  try {
    const load = new LoadGenerator();
    const scenarios = await scenariosOf(postgres, join(dataDir, 'ours'), load);
    for (let round = 1; round <= rounds; round++) {
      signal.throwIfAborted();
      log(`Round ${round} of ${rounds}.`);
      for (const scenario of scenarios) {
        signal.throwIfAborted();
        const measured = await measure(load, scenario, seconds * 1000);
        if (measured.failures > 0) log(`${scenario.scenario}, ${scenario.server}: ${measured.failure}`);
        scenario.rounds.push(measured);
      }
    }
    const row = (name: string) => scenarios.find((s) => s.scenario.startsWith(name) && s.server === 'ours');
    console.log(`\`npm run bench -- messages --rounds ${rounds} --seconds ${seconds} --servers ${wanted.join(',')}\`\n`);
    console.log(table(scenarios));
    console.log(`\nOne room ÷ 1,000 rooms: ${ratio(row('send to one room'), row('send, 64'))}.`);
    if (scenarios.some((s) => s.rounds.some((m) => m.failures > 0))) process.exitCode = 1;
  } finally {
    await stopAll();
    await postgres.stop();
  }
}

if (positionals[0] !== 'messages' || !(rounds >= 1) || !(seconds > 0)) {
  console.error('Usage: npm run bench -- messages [--rounds 5] [--seconds 4] [--servers ours,R1,R2]');
  process.exit(2);
}
const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => {
    interrupted.abort(new Error(`Ended by ${name}.`));
    void stopAll();
  });
}
const directory = await mkdtemp(join(tmpdir(), 'chatapi-bench-'));
await main(directory, interrupted.signal)
  .catch((error: unknown) => {
    console.error(interrupted.signal.aborted ? String(interrupted.signal.reason) : error);
    process.exitCode = 1;
  })
  .finally(() => rm(directory, { recursive: true, force: true }));
