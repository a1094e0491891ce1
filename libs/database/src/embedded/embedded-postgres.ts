import { findBinaries, majorVersionOf } from './binaries.js';
import { createCluster, keptPassword, type StartContext } from './cluster.js';
import { type DataDirectory, directoryError, hasCluster } from './data-directory.js';
import { openDataDirectory, postmasterPid, removeLeftovers } from './data-directory.js';
import { type DirectoryLocks, lockDirectory } from './directory-lock.js';
import type { LifeLine } from './life-line.js';
import { chooseRunner } from './postgres-runner.js';
import { ServerLog } from './server-log.js';
import { connectionUrl, type EmbeddedPostgresConnection, type RunningServer, startServer } from './server.js';
import { StartLimit } from './start-limit.js';

export type { EmbeddedPostgresConnection } from './server.js';

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 60_000;

/** What to start, and where. */
export interface EmbeddedPostgresOptions {
  /** Created where it is missing; everything of the database is kept in it. */
  readonly dataDir: string;
  /** Told of progress, one line at a time. */
  readonly log?: (line: string) => void;
  /** The longest a start may take, recovery after a crash included (60,000 by default). */
  readonly startTimeoutMs?: number;
  /** Calls a start off that is still under way: it rejects when nothing of the database runs any more. */
  readonly signal?: AbortSignal;
}

/** How the database ended. */
export interface EmbeddedPostgresExit {
  /** PostgreSQL's exit code, above 128 for a signal; null when it is not known. */
  readonly code: number | null;
  /** One sentence, with the last lines of the database's log unless it was asked to stop. */
  readonly detail: string;
}

/** A running database of our own. */
export interface EmbeddedPostgres {
  /** For `pg` (`connectionString`) and TypeORM (`url`). */
  readonly url: string;
  /** The same in single fields. */
  readonly connection: EmbeddedPostgresConnection;
  /** Resolves when the database has ended, by `stop` or by itself; never rejects, and does not keep node alive. */
  readonly exited: Promise<EmbeddedPostgresExit>;
  /** Stops it cleanly and frees the data directory; open connections are cut. Calling it again waits for the same. */
  stop(): Promise<void>;
}

/**
 * Starts PostgreSQL on the data directory, creating it at the first start.
 *
 * It ends by `stop` or with this process, however that ends; signals to this process do not reach it. Throws an
 * `EmbeddedPostgresError` when it cannot start, with nothing left running or locked.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const log = options.log ?? (() => undefined);
  const limit = new StartLimit(options.startTimeoutMs ?? START_TIMEOUT_MS, options.signal);
  const binaries = findBinaries();
  const major = await majorVersionOf(binaries);
  const directory = await openDataDirectory(options.dataDir);
  const locks = await lockDirectory(directory, limit, log).catch((error: unknown) => {
    throw directoryError(directory.root, error);
  });
  let serverLog: ServerLog | undefined;
  try {
    const clusterExists = await hasCluster(directory, major);
    await removeLeftovers(directory);
    const runner = await chooseRunner(binaries, directory);
    serverLog = await ServerLog.open(directory.log);
    const context: StartContext = { binaries, directory, runner, locks, serverLog, limit };
    const password = await keptPassword(context, clusterExists);
    if (!clusterExists) {
      log(`Creating the database in ${directory.root}.`);
      await createCluster(context);
    }
    return supervise(await startServer(context, password), directory, serverLog, locks);
  } catch (error) {
    serverLog?.close();
    locks.release();
    throw directoryError(directory.root, error);
  }
}

function supervise(
  { lifeLine, connection }: RunningServer,
  directory: DataDirectory,
  serverLog: ServerLog,
  locks: DirectoryLocks,
): EmbeddedPostgres {
  let stopping: Promise<void> | undefined;
  const exited = lifeLine.exited.then(async ({ code }) => {
    const lastLines = stopping ? '' : await serverLog.lastLines(6).catch(() => '');
    serverLog.close();
    locks.release();
    const detail = stopping
      ? 'The embedded PostgreSQL was stopped.'
      : `The embedded PostgreSQL ended by itself (code ${code}): ${lastLines}`;
    return { code, detail };
  });
  serverLog.keepBounded();
  lifeLine.unref();
  const stop = async () => {
    await letGoOf(lifeLine, directory);
    await exited;
  };
  return { url: connectionUrl(connection), connection, exited, stop: () => (stopping ??= stop()) };
}

/** A shutdown that hangs is cut short; the database then recovers from its log at the next start. */
async function letGoOf(lifeLine: LifeLine, directory: DataDirectory): Promise<void> {
  lifeLine.letGo();
  if (await lifeLine.waitForExit(STOP_TIMEOUT_MS)) return;
  const pid = await postmasterPid(directory);
  if (pid === undefined || lifeLine.hasExited()) return;
  try {
    process.kill(pid, 'SIGQUIT');
  } catch {
    // It ended just now, which is what was wanted.
  }
}
