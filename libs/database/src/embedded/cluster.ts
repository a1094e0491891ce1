import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import type { PostgresBinaries } from './binaries.js';
import type { DataDirectory } from './data-directory.js';
import type { DirectoryLocks } from './directory-lock.js';
import { EmbeddedPostgresError, errorCode } from './embedded-postgres.error.js';
import { startOnLifeLine } from './life-line.js';
import { handOver, type PostgresRunner } from './postgres-runner.js';
import type { ServerLog } from './server-log.js';
import type { StartLimit } from './start-limit.js';

/** The database's one user. */
export const DATABASE_USER = 'chatapi';

/** What every step of a start works with. */
export interface StartContext {
  readonly binaries: PostgresBinaries;
  readonly directory: DataDirectory;
  readonly runner: PostgresRunner;
  readonly locks: DirectoryLocks;
  readonly serverLog: ServerLog;
  readonly limit: StartLimit;
}

/**
 * The kept password; made and kept first when there is no cluster yet.
 *
 * It is on disk before the cluster that asks for it, so there is no instant to be killed in that locks us out.
 */
export async function keptPassword({ directory, runner }: StartContext, clusterExists: boolean): Promise<string> {
  const kept = await readFile(directory.password, 'utf8').catch((error: unknown) => {
    if (errorCode(error) !== 'ENOENT') throw error;
    return '';
  });
  if (kept.trim() !== '') return kept.trim();
  if (clusterExists) {
    throw new EmbeddedPostgresError(
      `The database's password file ${directory.password} is missing: restore it from the backup of the data directory.`,
    );
  }
  const password = randomBytes(24).toString('base64url');
  const unfinished = `${directory.password}.new`;
  await rm(unfinished, { force: true });
  const file = await open(unfinished, 'wx', 0o600);
  await file.writeFile(`${password}\n`);
  await file.sync();
  await file.close();
  await handOver(unfinished, runner);
  await rename(unfinished, directory.password);
  return password;
}

/** Makes the cluster beside its place and moves it there when it is complete, so a kill leaves nothing half-made. */
export async function createCluster(context: StartContext): Promise<void> {
  const { binaries, directory, runner, locks, serverLog, limit } = context;
  await mkdir(directory.newCluster, { mode: 0o700 });
  await handOver(directory.newCluster, runner);
  const options = [
    ...['-D', directory.newCluster, '-U', DATABASE_USER, `--pwfile=${directory.password}`],
    // Sorting that is part of PostgreSQL itself: an index stays right when the machine's C library changes.
    ...['-A', 'scram-sha-256', '-E', 'UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'],
  ];
  const initdb = startOnLifeLine(runner, [binaries.initdb, ...options], {
    logFd: serverLog.fd,
    lockFd: locks.clusterFd,
  });
  try {
    await limit.until(() => initdb.hasExited());
  } finally {
    initdb.letGo();
    await initdb.exited;
  }
  const { code } = await initdb.exited;
  if (code !== 0) {
    await rm(directory.newCluster, { recursive: true, force: true });
    throw new EmbeddedPostgresError(
      `The database could not be created in ${directory.root}: ${await serverLog.lastLines(6)}`,
    );
  }
  await rename(directory.newCluster, directory.cluster);
  await syncDirectory(directory.root);
  await serverLog.beginAnew();
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  await handle.sync().finally(() => handle.close());
}
