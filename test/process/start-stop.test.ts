import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, describe, it } from 'node:test';
import { Database } from '#libs/database';
import { call } from '../support/api.js';
import { until } from '../support/concurrency.js';
import { freePort } from '../support/free-port.js';

interface Running {
  child: ChildProcess;
  url: string;
  output: () => string;
  exit: Promise<number | null>;
}

const MAIN = resolve('dist/apps/api/src/main.js');

describe('Starting and stopping', () => {
  const directories: string[] = [];
  const children: ChildProcess[] = [];
  after(() => {
    for (const child of children) if (child.exitCode === null) child.kill('SIGKILL');
    for (const directory of directories)
      rmSync(directory, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
  });

  function aDirectory(): string {
    const directory = mkdtempSync(join(tmpdir(), 'chatapi-process-'));
    directories.push(directory);
    return directory;
  }

  function run(env: Record<string, string>, cwd = aDirectory()): Omit<Running, 'url'> {
    const { PATH = '', HOME = '' } = process.env;
    const options = { PATH, HOME, LOG_LEVEL: 'silent', HOST: '127.0.0.1', ...env };
    const child = spawn(process.execPath, [MAIN], { env: options, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    children.push(child);
    let output = '';
    child.stdout!.on('data', (part) => (output += part));
    child.stderr!.on('data', (part) => (output += part));
    const exit = once(child, 'close').then(([code]) => code as number | null);
    return { child, output: () => output, exit };
  }

  async function start(dataDir: string, env: Record<string, string> = {}): Promise<Running> {
    const port = await freePort();
    const running = { ...run({ DATA_DIR: dataDir, PORT: `${port}`, ...env }), url: `http://127.0.0.1:${port}` };
    await until('it is ready', async () => {
      assert.equal(running.child.exitCode, null, running.output());
      return (await fetch(`${running.url}/health/ready`).catch(() => undefined))?.status === 200;
    });
    return running;
  }

  /** Processes of the system that were started for the directory. */
  function processesOf(directory: string): string[] {
    if (!existsSync('/proc/self/cmdline')) return [];
    const found: string[] = [];
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        if (line.includes(directory)) found.push(line);
      } catch {
        // It ended while we looked.
      }
    }
    return found;
  }

  const register = (url: string, name: string) => call(`${url}/api/v1/clients`, 'POST', { body: { name } });

  it('starts, serves, says where it is, stops cleanly, and keeps its data even when killed', async () => {
    const dataDir = aDirectory();
    const first = await start(dataDir);
    await until('it says where it is', () => first.output().includes('/docs'));
    const client = await register(first.url, 'Kept');
    assert.equal(client.status, 201, client.text);
    const key = client.body.data.master_api_key as string;
    first.child.kill('SIGTERM');
    assert.equal(await first.exit, 0, first.output());
    assert.deepEqual(processesOf(dataDir), []);

    const second = await start(dataDir);
    assert.equal((await call(`${second.url}/api/v1/clients/me`, 'GET', { key })).body.data.name, 'Kept');
    const user = { email: 'a@example.com', username: 'a' };
    assert.equal((await call(`${second.url}/api/v1/users`, 'POST', { key, body: user })).status, 201);

    const rival = run({ DATA_DIR: dataDir, PORT: `${await freePort()}` });
    assert.equal(await rival.exit, 1);
    assert.match(rival.output(), /^Another running process.*uses the data directory.*\n$/);

    second.child.kill('SIGKILL');
    await second.exit;
    await until('no database is left behind', () => processesOf(dataDir).length === 0);

    const third = await start(dataDir);
    const users = await call(`${third.url}/api/v1/users`, 'GET', { key });
    assert.equal(users.body.pagination.total, 1);
    third.child.kill('SIGINT');
    assert.equal(await third.exit, 0);
    assert.deepEqual(processesOf(dataDir), []);
  });

  it('finishes a request that is running when SIGTERM comes, then ends with 0', async () => {
    const name = `stopping_${randomUUID().replaceAll('-', '')}`;
    const server = process.env['TEST_DATABASE_URL']!;
    const admin = new Database(server, { max: 1 });
    await admin.query(`CREATE DATABASE ${name} TEMPLATE template0`);
    const databaseUrl = server.replace(/\/[^/?]+(\?|$)/, `/${name}$1`);
    const database = new Database(databaseUrl, { max: 2 });
    try {
      const running = await start(aDirectory(), { DATABASE_URL: databaseUrl });
      const { body } = await register(running.url, 'Running');
      const key = body.data.master_api_key as string;
      const post = (path: string, fields: object) =>
        call(`${running.url}/api/v1${path}`, 'POST', { key, body: fields });
      const room = (await post('/rooms', { name: 'A room' })).body.data.id as string;
      const holder = await database.pool.connect();
      await holder.query('BEGIN');
      await holder.query('SELECT 1 FROM room_counters FOR UPDATE');
      const sent = post('/messages', { room_id: room, content: 'on the way' });
      await until('the send waits for the room', async () => {
        const waiting = await database.query(
          `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
        );
        return waiting.length > 0;
      });
      running.child.kill('SIGTERM');
      await until('nothing new is taken', () =>
        fetch(`${running.url}/health/ready`).then(
          ({ status }) => status === 503,
          () => true,
        ),
      );
      assert.equal(running.child.exitCode, null, 'it waits for what is running');
      await holder.query('COMMIT');
      holder.release();
      const answer = await sent;
      assert.equal(answer.status, 201, answer.text);
      assert.equal(await running.exit, 0, running.output());
      const stored = await database.query('SELECT 1 FROM messages WHERE id = $1', [answer.body.data.id]);
      assert.equal(stored.length, 1);
    } finally {
      await database.close();
      await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
      await admin.close();
    }
  });

  it('says in one sentence that the port is taken, and leaves no database', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const dataDir = aDirectory();
    const { exit, output } = run({ DATA_DIR: dataDir, PORT: `${port}`, LOG_LEVEL: 'info' });
    assert.equal(await exit, 1);
    assert.match(output(), new RegExp(`^Port ${port} is taken[^\\n]*\\n$`));
    server.close();
    await until('no database is left behind', () => processesOf(dataDir).length === 0);
  });

  const noProc = process.platform === 'linux' ? false : 'SKIPPED: this system has no /proc that refuses directories';
  it(
    'says in one sentence that it cannot make its data directory, with a database of its own too',
    { skip: noProc },
    async () => {
      const databaseUrl = process.env['TEST_DATABASE_URL']!;
      const { child, exit, output } = run({ DATABASE_URL: databaseUrl, DATA_DIR: '/proc/here/below', PORT: '0' });
      await until('it has ended', () => child.exitCode !== null, 20_000);
      assert.equal(await exit, 1);
      assert.match(output(), /^The data directory \/proc\/here\/below cannot be used[^\n]*\n$/);
    },
  );

  it('names every fault of the environment at once', async () => {
    const { exit, output } = run({
      PORT: 'x',
      NODE_ENV: 'production',
      JOBS: 'maybe',
      RATE_LIMIT_DEFAULT: '5',
      DATABASE_URL: 'nope',
    });
    assert.equal(await exit, 1);
    for (const name of ['PORT', 'ENCRYPTION_KEY', 'JOBS', 'RATE_LIMIT_DEFAULT', 'DATABASE_URL']) {
      assert.match(output(), new RegExp(`- ${name} `));
    }
  });

  it('says in one sentence that the database of DATABASE_URL is not there', async () => {
    const database = `postgresql://u:p@127.0.0.1:${await freePort()}/d`;
    const { exit, output } = run({ DATA_DIR: aDirectory(), DATABASE_URL: database, PORT: `${await freePort()}` });
    assert.equal(await exit, 1);
    assert.match(output(), /^The database of DATABASE_URL cannot be reached[^\n]*\n$/);
  });
});
