import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { DataSource } from 'typeorm';
import { findBinaries } from './binaries.js';
import { aDatabase, aDirectory, anotherProcess, query } from './embedded-postgres.test-support.js';
import { EmbeddedPostgresError, startEmbeddedPostgres } from './index.js';
import { ServerLog } from './server-log.js';

/** Checks that a start is refused with one sentence that says all this. */
async function refuses(dataDir: string, ...parts: (string | RegExp)[]): Promise<void> {
  await assert.rejects(startEmbeddedPostgres({ dataDir }), (error: Error) => {
    assert.ok(error instanceof EmbeddedPostgresError, String(error.stack));
    for (const part of parts) assert.match(error.message, typeof part === 'string' ? new RegExp(part) : part);
    assert.ok(!error.message.includes('\n'), 'one line');
    return true;
  });
}

describe('embedded PostgreSQL', { concurrency: 2 }, () => {
  it('creates a UTF-8 database with full durability at the first start and has its data at the second', async (t) => {
    const dataDir = join(aDirectory(t), 'not', 'there', 'yet');
    const first = await aDatabase(t, dataDir);
    const [row] = await query(
      first.url,
      `select current_database() as name, current_setting('server_encoding') as encoding, current_setting('fsync') as fsync,
       current_setting('synchronous_commit') as commit, current_setting('TimeZone') as zone, 'Ä' < 'Z' as by_language,
       (select datlocale from pg_database where datname = current_database()) as locale`,
    );
    assert.deepEqual(
      { ...row },
      {
        name: 'chatapi',
        encoding: 'UTF8',
        fsync: 'on',
        commit: 'on',
        zone: 'UTC',
        by_language: false,
        locale: 'C.UTF-8',
      },
    );
    await query(first.url, `create table kept as select 'äöü 日本 😀' as text`);
    await first.stop();
    const second = await aDatabase(t, dataDir);
    assert.deepEqual(await query(second.url, 'select text from kept'), [{ text: 'äöü 日本 😀' }]);
    assert.equal(second.url, first.url);
  });

  it('lets nobody in without the generated password, which only its user can read', async (t) => {
    const dataDir = aDirectory(t);
    const { url, connection } = await aDatabase(t, dataDir);
    const file = join(dataDir, 'postgres.password');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(readFileSync(file, 'utf8').trim(), connection.password);
    assert.ok(connection.password.length >= 32);
    await assert.rejects(query(url.replace(connection.password, 'wrong'), 'select 1'), { code: '28P01' });
  });

  it('is reachable for TypeORM by url and by single fields', async (t) => {
    const { url, connection } = await aDatabase(t, aDirectory(t));
    const { user, ...rest } = connection;
    for (const options of [{ url }, { ...rest, username: user }]) {
      const source = await new DataSource({ type: 'postgres', ...options }).initialize();
      assert.deepEqual(await source.query('select current_database() as name'), [{ name: 'chatapi' }]);
      await source.destroy();
    }
  });

  it('works in a directory with odd characters, and by loopback in one too deep for a socket', async (t) => {
    const odd = join(aDirectory(t), `a, "b' %20 %z $HOME ünï`);
    const bySocket = await aDatabase(t, odd);
    assert.ok(bySocket.connection.host.startsWith(odd));
    assert.deepEqual(await query(bySocket.url, 'select 1 as one'), [{ one: 1 }]);
    const byLoopback = await aDatabase(t, join(aDirectory(t), 'x'.repeat(120)));
    assert.equal(byLoopback.connection.host, '127.0.0.1');
    assert.deepEqual(await query(byLoopback.url, 'select 1 as one'), [{ one: 1 }]);
  });

  it('refuses a second start on the same directory at once, from this process and from another', async (t) => {
    const dataDir = aDirectory(t);
    await aDatabase(t, dataDir);
    await refuses(dataDir, 'Another running process', `pid ${process.pid}`, 'DATA_DIR');
    const other = anotherProcess(t, dataDir);
    assert.match(await other.said('refused'), /^EmbeddedPostgresError: Another running process/);
  });

  it('lets exactly one of many racing starts have a fresh directory', async (t) => {
    const dataDir = aDirectory(t);
    const racers = Array.from({ length: 5 }, () => aDatabase(t, dataDir));
    const outcomes = await Promise.allSettled(racers);
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') assert.match(String(outcome.reason), /Another running process/);
    }
  });

  it('refuses the directory of another major version and names both', async (t) => {
    const dataDir = aDirectory(t);
    mkdirSync(join(dataDir, 'postgres'));
    writeFileSync(join(dataDir, 'postgres', 'PG_VERSION'), '16\n');
    await refuses(dataDir, 'PostgreSQL 16', 'PostgreSQL 18');
  });

  it('refuses a directory that is a file, lies under one, or has a path PostgreSQL cannot use', async (t) => {
    const file = join(aDirectory(t), 'file');
    writeFileSync(file, '');
    await refuses(file, 'is a file');
    await refuses(join(file, 'below'), 'is a file');
    if (process.platform === 'linux') await refuses('/proc/here/below', 'cannot be used');
    await refuses(`${file}\nline`, 'control characters');
    await refuses(`${file}/${'x/'.repeat(500)}`, 'bytes');
  });

  it('refuses a cluster directory that is not one, and a cluster without its password', async (t) => {
    const dataDir = aDirectory(t);
    mkdirSync(join(dataDir, 'postgres'));
    await refuses(dataDir, 'no PG_VERSION');
    rmSync(join(dataDir, 'postgres'), { recursive: true });
    await (await aDatabase(t, dataDir)).stop();
    rmSync(join(dataDir, 'postgres.password'));
    await refuses(dataDir, 'postgres.password is missing');
  });

  it('says the last words of a database that cannot start, and frees the directory', async (t) => {
    const dataDir = aDirectory(t);
    await (await aDatabase(t, dataDir)).stop();
    rmSync(join(dataDir, 'postgres', 'global', 'pg_control'));
    await refuses(dataDir, 'could not start', 'pg_control');
    await refuses(dataDir, 'could not start');
  });

  it('keeps values of rows and statements out of its log', async (t) => {
    const dataDir = aDirectory(t);
    const { url } = await aDatabase(t, dataDir);
    await query(url, 'create table kept (text text unique)');
    await query(url, `insert into kept values ('confidential')`);
    await assert.rejects(query(url, `insert into kept values ('confidential')`), { code: '23505' });
    const log = readFileSync(join(dataDir, 'postgres.log'), 'utf8');
    assert.match(log, /duplicate key value/);
    assert.doesNotMatch(log, /confidential/);
  });

  it('keeps its log within a bound, at the start and while it runs', async (t) => {
    const path = join(aDirectory(t), 'postgres.log');
    writeFileSync(path, Buffer.alloc(1_100_000, 'a'));
    const log = await ServerLog.open(path);
    t.after(() => log.close());
    assert.equal(statSync(path).size, 0);
    assert.equal(statSync(`${path}.1`).size, 1_100_000);
    writeSync(log.fd, Buffer.alloc(1_200_000, 'b'));
    await log.cut();
    writeSync(log.fd, 'one\ntwo\nthree\n');
    assert.equal(statSync(path).size, 14);
    assert.equal(statSync(`${path}.1`).size, 1_200_000);
    assert.equal(await log.lastLines(2), 'two | three');
  });

  it('names DATABASE_URL where there are no binaries for the machine', () => {
    for (const platform of ['sunos', 'win32']) {
      assert.throws(() => findBinaries(platform, 'x64'), /not installed\): set DATABASE_URL/);
    }
  });
});
