import assert from 'node:assert/strict';
import { chmodSync, chownSync, closeSync, existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { tryLock } from './directory-lock.js';
import { postmasterPid } from './data-directory.js';
import { IS_ROOT, SEES_PROCESSES, aDatabase, aDirectory, anotherProcess } from './embedded-postgres.test-support.js';
import { processesOf, query, until } from './embedded-postgres.test-support.js';
import { type EmbeddedPostgresExit, startEmbeddedPostgres } from './index.js';

const NOBODY = 65534;
const noProc = SEES_PROCESSES ? false : 'SKIPPED: this system has no /proc to see processes in';

async function pidOfDatabase(dataDir: string): Promise<number> {
  const pid = await postmasterPid({ cluster: join(dataDir, 'postgres') });
  assert.ok(pid, 'a postmaster runs');
  return pid;
}

describe('the life of the embedded PostgreSQL', { skip: noProc, concurrency: 2 }, () => {
  it('ends with a node that is killed, leaves no process, and the next start at once has the data', async (t) => {
    const dataDir = aDirectory(t);
    const holder = anotherProcess(t, dataDir);
    const url = await holder.said('ready');
    await query(url, 'create table kept as select generate_series(1, 200000) as n');
    await holder.kill();
    const next = await aDatabase(t, dataDir);
    assert.deepEqual(await query(next.url, 'select count(*)::int as n from kept'), [{ n: 200_000 }]);
    await next.stop();
    // What watched over the killed node may be about to end.
    await until('no process is left', () => processesOf(dataDir).length === 0);
  });

  it('ends with a killed node when no next start comes', async (t) => {
    const dataDir = aDirectory(t);
    const holder = anotherProcess(t, dataDir);
    await holder.said('ready');
    assert.ok(processesOf(dataDir, [holder.pid]).length > 3, 'the database runs');
    await holder.kill();
    await until('no process is left', () => processesOf(dataDir).length === 0);
    assert.ok(!existsSync(join(dataDir, 'postgres', 'postmaster.pid')), 'shut down cleanly');
  });

  it('leaves nothing half-made when node is killed at any moment of the first start', async (t) => {
    const marks = ['lock', 'postgres.password', 'postgres.new', 'postgres.new/base', 'postgres.new/base/5', 'postgres'];
    for (const mark of marks) {
      const dataDir = aDirectory(t);
      const holder = anotherProcess(t, dataDir);
      await until(`there is ${mark}`, () => existsSync(join(dataDir, mark)));
      await holder.kill();
      const next = await aDatabase(t, dataDir);
      assert.deepEqual(await query(next.url, 'select 1 as one'), [{ one: 1 }], mark);
      await next.stop();
      assert.ok(!readdirSync(dataDir).includes('postgres.new'), mark);
    }
  });

  it('does not hear the Ctrl-C and SIGTERM that its node hears', async (t) => {
    const dataDir = aDirectory(t);
    const holder = anotherProcess(t, dataDir);
    const url = await holder.said('ready');
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.kill(-holder.pid, signal);
      await holder.said(`got ${signal}`);
      assert.deepEqual(await query(url, 'select 1 as one'), [{ one: 1 }]);
    }
  });

  it('stops once for any number of stops and frees the directory', async (t) => {
    const dataDir = aDirectory(t);
    const database = await aDatabase(t, dataDir);
    await Promise.all([database.stop(), database.stop()]);
    await database.stop();
    assert.deepEqual(await database.exited, { code: 0, detail: 'The embedded PostgreSQL was stopped.' });
    assert.deepEqual(processesOf(dataDir), []);
    await (await aDatabase(t, dataDir)).stop();
  });

  it('can be called off at any moment of a start, leaving nothing that runs', async (t) => {
    const dataDir = aDirectory(t);
    for (const mark of ['postgres.new/base', 'postgres/postmaster.pid']) {
      const stop = new AbortController();
      const start = startEmbeddedPostgres({ dataDir, signal: stop.signal });
      const outcome = assert.rejects(start, { name: 'EmbeddedPostgresError', message: /called off/ });
      await until(`there is ${mark}`, () => existsSync(join(dataDir, mark)));
      stop.abort();
      await outcome;
      assert.deepEqual(processesOf(dataDir), []);
    }
    await (await aDatabase(t, dataDir)).stop();
  });

  it('tells of a database that is killed from outside, and starts again', async (t) => {
    const dataDir = aDirectory(t);
    const database = await aDatabase(t, dataDir);
    process.kill(await pidOfDatabase(dataDir), 'SIGKILL');
    let ended: EmbeddedPostgresExit | undefined;
    void database.exited.then((exit) => (ended = exit));
    await until('its end is told', () => ended !== undefined);
    const { code, detail } = await database.exited;
    assert.equal(code, 128 + 9);
    assert.match(detail, /ended by itself/);
    await database.stop();
    assert.deepEqual(await query((await aDatabase(t, dataDir)).url, 'select 1 as one'), [{ one: 1 }]);
  });

  it('starts over a left pid file whose number now belongs to a stranger', async (t) => {
    const dataDir = aDirectory(t);
    await (await aDatabase(t, dataDir)).stop();
    const lines = [process.pid, join(dataDir, 'postgres'), 1, 5432, '', '', '', 'ready   ', ''];
    writeFileSync(join(dataDir, 'postgres', 'postmaster.pid'), lines.join('\n'));
    assert.deepEqual(await query((await aDatabase(t, dataDir)).url, 'select 1 as one'), [{ one: 1 }]);
  });

  it('refuses a directory it may not write to', async (t) => {
    const dataDir = aDirectory(t);
    chmodSync(dataDir, 0o555);
    const other = anotherProcess(t, dataDir, IS_ROOT ? { uid: NOBODY, gid: NOBODY } : {});
    const line = await other.said('refused').catch((error: unknown) => String(error));
    if (/ERR_MODULE_NOT_FOUND|EACCES: permission denied, (open|lstat|realpath)/.test(line)) {
      return t.skip(`SKIPPED: an unprivileged user cannot read the build: ${line}`);
    }
    assert.match(line, /^EmbeddedPostgresError: The data directory .* is not writable/);
  });

  it('runs, for root, the cluster of an ordinary user as that user', async (t) => {
    if (!IS_ROOT) return t.skip('SKIPPED: only root can become another user');
    const dataDir = aDirectory(t);
    chownSync(dataDir, NOBODY, NOBODY);
    const holder = anotherProcess(t, dataDir, { uid: NOBODY, gid: NOBODY });
    const outcome = await holder.said('ready').catch((error: unknown) => error);
    if (outcome instanceof Error) return t.skip(`SKIPPED: an unprivileged user cannot read the build: ${outcome}`);
    await holder.kill();
    const database = await aDatabase(t, dataDir);
    assert.equal(statSync(`/proc/${await pidOfDatabase(dataDir)}`).uid, NOBODY);
    assert.deepEqual(await query(database.url, 'select 1 as one'), [{ one: 1 }]);
  });

  it('locks by flock and by perl alike, each seeing the other', async (t) => {
    const file = join(aDirectory(t), 'lock');
    for (const first of ['flock', 'perl'] as const) {
      for (const second of ['flock', 'perl'] as const) {
        const held = await tryLock(file, [first]).catch(() => undefined);
        if (held === undefined) return t.skip(`SKIPPED: no ${first} on this machine`);
        assert.equal(await tryLock(file, [second]), undefined, `${first} against ${second}`);
        closeSync(held);
      }
    }
  });
});
