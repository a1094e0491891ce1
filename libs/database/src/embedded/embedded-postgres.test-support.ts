import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { type EmbeddedPostgres, type EmbeddedPostgresOptions, startEmbeddedPostgres } from './index.js';

/** Whether the tests run as root, where file permissions stop nobody. */
export const IS_ROOT = process.geteuid?.() === 0;

/** A new empty directory's path, removed after the test. */
export function aDirectory(t: TestContext): string {
  const path = mkdtempSync(join(realpathSync(tmpdir()), 'chatapi-pg-'));
  chmodSync(path, 0o755);
  afterTest(t, async () => {
    if (SEES_PROCESSES) await until(`nothing runs in ${path}`, () => processesOf(path).length === 0);
    await rm(path, { recursive: true, force: true });
  });
  return path;
}

/** A started database, stopped after the test. */
export async function aDatabase(
  t: TestContext,
  dataDir: string,
  options: Partial<EmbeddedPostgresOptions> = {},
): Promise<EmbeddedPostgres> {
  const database = await startEmbeddedPostgres({ dataDir, ...options });
  afterTest(t, () => database.stop());
  return database;
}

const cleanUps = new WeakMap<TestContext, (() => Promise<void>)[]>();

/** Last in, first out, unlike `t.after`: a directory goes only after what lives in it. */
function afterTest(t: TestContext, cleanUp: () => Promise<void>): void {
  const list = cleanUps.get(t) ?? [];
  if (list.length === 0) {
    t.after(async () => {
      for (const run of list) await run();
    });
  }
  list.unshift(cleanUp);
  cleanUps.set(t, list);
}

/** Runs one statement on a connection of its own. */
export async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** Waits for a condition, and fails the test with its name when it does not come. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const endsAt = Date.now() + 15_000;
  while (!(await condition())) {
    if (Date.now() > endsAt) throw new Error(`waited in vain until ${what}`);
    await delay(5);
  }
}

/** Every living process that works in the directory or names it in its command, but for the given ones. */
export function processesOf(directory: string, but: readonly number[] = [process.pid]): number[] {
  const pids = readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0 && !but.includes(pid));
  return pids.filter((pid) => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      return command.includes(directory) || readlinkSync(`/proc/${pid}/cwd`).startsWith(directory);
    } catch {
      return false;
    }
  });
}

/** Whether this system shows its processes as files, which the tests of what is left over need. */
export const SEES_PROCESSES = existsSync('/proc/self/cmdline');

const CHILD_SCRIPT = `
const { startEmbeddedPostgres } = await import(process.argv[1]);
process.on('SIGINT', () => console.log('got SIGINT'));
process.on('SIGTERM', () => console.log('got SIGTERM'));
try {
  const database = await startEmbeddedPostgres({ dataDir: process.argv[2] });
  console.log('ready ' + database.url);
  setInterval(() => undefined, 1000);
} catch (error) {
  console.log('refused ' + error.name + ': ' + error.message);
}
`;

/** Another node process that starts the database, and what it has said so far. */
export interface OtherProcess {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly lines: string[];
  readonly ended: Promise<void>;
  /** Waits for a line that begins so, and answers the rest of it. */
  said(beginning: string): Promise<string>;
  /** kill -9, then waits for its end. */
  kill(): Promise<void>;
}

/** Starts another node process, leader of its own group, on the data directory. */
export function anotherProcess(
  t: TestContext,
  dataDir: string,
  user: { uid?: number; gid?: number } = {},
): OtherProcess {
  const index = new URL('./index.js', import.meta.url).href;
  const args = ['--input-type=module', '-e', CHILD_SCRIPT, index, dataDir];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, cwd: '/', ...user });
  const lines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => void lines.push(line));
  }
  let hasEnded = false;
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => {
      hasEnded = true;
      resolve();
    });
  });
  const kill = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  afterTest(t, kill);
  const said = async (beginning: string) => {
    const find = () => lines.find((line) => line.startsWith(beginning));
    await until(`it says ${beginning}`, () => {
      if (hasEnded && !find()) throw new Error(`it ended without ${beginning}: ${lines.join('\n')}`);
      return find() !== undefined;
    });
    return (find() ?? '').slice(beginning.length).trim();
  };
  return { child, pid: child.pid ?? 0, lines, ended, said, kill };
}
