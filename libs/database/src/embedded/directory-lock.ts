import { spawn } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { CHILD_ENVIRONMENT } from './binaries.js';
import type { DataDirectory } from './data-directory.js';
import { EmbeddedPostgresError } from './embedded-postgres.error.js';
import type { StartLimit } from './start-limit.js';

/**
 * The same lock by two tools: Linux has `flock`, macOS has `perl`. Both lock descriptor 3, which they inherit from us,
 * and end with 0 when it is ours and 1 when it is another's.
 */
const LOCK_TOOLS = {
  flock: ['flock', '-n', '-x', '3'],
  perl: [
    'perl',
    '-MErrno=EWOULDBLOCK',
    '-MFcntl=:flock',
    '-e',
    'open(my $f, ">>&=", 3) or exit 2; flock($f, LOCK_EX | LOCK_NB) and exit 0; exit($! == EWOULDBLOCK ? 1 : 2)',
  ],
} as const;

type LockTool = keyof typeof LOCK_TOOLS;

/** Both locks of a data directory, held until `release`. */
export interface DirectoryLocks {
  /** Handed down to every process of the database, so the lock lasts as long as any of them lives. */
  readonly clusterFd: number;
  release(): void;
}

/**
 * Takes the data directory for this process.
 *
 * A lock of the kernel belongs to the open file, not to a pid: it cannot be stale and nobody can win it twice. The
 * first one is held by the node process alone, so finding it taken means a living process: refused at once. The second
 * one is inherited by the database's processes, so finding it taken when the first was free means a database whose
 * node died and that is still shutting down: waited for.
 */
export async function lockDirectory(
  directory: DataDirectory,
  limit: StartLimit,
  log: (line: string) => void,
): Promise<DirectoryLocks> {
  const processFd = await tryLock(directory.processLock);
  if (processFd === undefined) {
    throw new EmbeddedPostgresError(
      `Another running process${holderOf(directory.processLock)} uses the data directory ${directory.root}: ` +
        'stop it first, or give this one its own DATA_DIR.',
    );
  }
  try {
    ftruncateSync(processFd);
    writeSync(processFd, `${process.pid}\n`);
    const clusterFd = await waitForLock(directory, limit, log);
    return {
      clusterFd,
      release: () => {
        closeSync(clusterFd);
        closeSync(processFd);
      },
    };
  } catch (error) {
    closeSync(processFd);
    throw error;
  }
}

async function waitForLock(directory: DataDirectory, limit: StartLimit, log: (line: string) => void): Promise<number> {
  let fd = await tryLock(directory.clusterLock);
  if (fd !== undefined) return fd;
  log('Waiting for the database of a process that was killed to finish its shutdown.');
  await limit.until(async () => (fd = await tryLock(directory.clusterLock)) !== undefined);
  if (fd !== undefined) return fd;
  throw new EmbeddedPostgresError(
    `The database of an earlier process in ${directory.root} has not finished its shutdown: try again later, ` +
      `and look into ${directory.log} if that does not help.`,
  );
}

/** Locks the file and answers its descriptor, or undefined when another open file holds the lock. */
export async function tryLock(
  path: string,
  tools: readonly LockTool[] = ['flock', 'perl'],
): Promise<number | undefined> {
  const fd = openSync(path, 'a', 0o600);
  let locked = false;
  try {
    for (const tool of tools) {
      const code = await runOn(fd, LOCK_TOOLS[tool]);
      locked = code === 0;
      if (locked) return fd;
      if (code === 1) return undefined;
    }
    throw new EmbeddedPostgresError(
      `The data directory cannot be locked (${path}: no flock or perl command, or a disk without file locks): ` +
        'put DATA_DIR on a local disk, or set DATABASE_URL.',
    );
  } finally {
    if (!locked) closeSync(fd);
  }
}

function runOn(fd: number, [tool, ...args]: readonly [string, ...string[]]): Promise<number | null> {
  return new Promise((resolve) => {
    const child = spawn(tool, args, { stdio: ['ignore', 'ignore', 'ignore', fd], env: CHILD_ENVIRONMENT });
    child.once('error', () => resolve(null));
    child.once('exit', (code) => resolve(code));
  });
}

/** For the sentence only: nothing is decided by the pid written there. */
function holderOf(path: string): string {
  const pid = Number.parseInt(readFileSync(path, 'utf8'), 10);
  return Number.isSafeInteger(pid) ? ` (pid ${pid})` : '';
}
