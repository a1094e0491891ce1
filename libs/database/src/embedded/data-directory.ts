import { constants } from 'node:fs';
import { access, mkdir, readFile, readlink, realpath, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { EmbeddedPostgresError, errorCode } from './embedded-postgres.error.js';

/** The longest path PostgreSQL takes is 1,023 bytes, its own file names included. */
const MAX_PATH_BYTES = 800;

/** Where everything of the embedded database lies in a data directory. */
export interface DataDirectory {
  readonly root: string;
  /** The cluster itself: what PostgreSQL calls its data directory. */
  readonly cluster: string;
  /** A cluster in the making; renamed to `cluster` when it is complete. */
  readonly newCluster: string;
  readonly socketDir: string;
  readonly password: string;
  readonly log: string;
  readonly processLock: string;
  readonly clusterLock: string;
}

/** Creates the data directory where it is missing, or throws a sentence that says why it cannot be used. */
export async function openDataDirectory(dataDir: string): Promise<DataDirectory> {
  const wanted = resolve(dataDir);
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(wanted) || Buffer.byteLength(wanted) > MAX_PATH_BYTES) {
    throw new EmbeddedPostgresError(
      `The data directory's path ${JSON.stringify(wanted.slice(0, 120))} has control characters or more than ` +
        `${MAX_PATH_BYTES} bytes, which PostgreSQL cannot use: choose another DATA_DIR.`,
    );
  }
  try {
    // 0711: the unprivileged user that root may have to run the database as must be able to pass through.
    await makeDirectory(wanted, 0o711);
    const root = await realpath(wanted);
    await access(join(root, '.'), constants.W_OK | constants.X_OK);
    return layoutOf(root);
  } catch (error) {
    throw directoryError(wanted, error);
  }
}

/** `mkdir` with `recursive` never comes back from a file system that refuses with ENOENT what has a parent, as /proc does. */
async function makeDirectory(path: string, mode: number): Promise<void> {
  const made = await stat(path).catch(() => undefined);
  if (made?.isDirectory()) return;
  const parent = dirname(path);
  if (made === undefined && parent !== path) await makeDirectory(parent, mode);
  try {
    await mkdir(path, { mode });
  } catch (error) {
    // Another process may have been quicker.
    if (!(await stat(path).catch(() => undefined))?.isDirectory()) throw error;
  }
}

/** Turns a failed file operation in the data directory into a sentence. */
export function directoryError(path: string, error: unknown): Error {
  if (error instanceof EmbeddedPostgresError) return error;
  const code = errorCode(error);
  if (code === 'EEXIST' || code === 'ENOTDIR') {
    return new EmbeddedPostgresError(
      `The data directory ${path} is a file, or lies under one: choose another DATA_DIR.`,
    );
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    return new EmbeddedPostgresError(
      `The data directory ${path} is not writable for this user (${code}): ` +
        'give this user the right to it, or choose another DATA_DIR.',
    );
  }
  const reason = error instanceof Error ? error.message : String(error);
  return new EmbeddedPostgresError(`The data directory ${path} cannot be used: ${reason}.`);
}

/** Answers whether a cluster is there, and throws a sentence when it is another major version's. */
export async function hasCluster(directory: DataDirectory, major: number): Promise<boolean> {
  const text = await readFile(join(directory.cluster, 'PG_VERSION'), 'utf8').catch((error: unknown) => {
    if (errorCode(error) !== 'ENOENT') throw directoryError(directory.cluster, error);
    return undefined;
  });
  if (text === undefined) {
    const taken = await access(directory.cluster).then(
      () => true,
      () => false,
    );
    if (!taken) return false;
    throw new EmbeddedPostgresError(
      `${directory.cluster} is there but holds no PostgreSQL cluster (no PG_VERSION): ` +
        'restore it from a backup, or move it away to start empty.',
    );
  }
  const found = text.trim();
  if (found === String(major)) return true;
  throw new EmbeddedPostgresError(
    `${directory.cluster} was made by PostgreSQL ${found} and this ChatAPI brings PostgreSQL ${major}: move the data ` +
      'over with dump and restore, choose another DATA_DIR, or set DATABASE_URL.',
  );
}

/**
 * Removes what a killed machine or container left behind, and refuses a server that somebody started by hand.
 *
 * To be called with both locks held: then no database of ours lives here, and a pid in the file that is alive again
 * belongs to a stranger. PostgreSQL itself cannot know that and would refuse to start for ever.
 */
export async function removeLeftovers(directory: DataDirectory): Promise<void> {
  await rm(directory.newCluster, { recursive: true, force: true });
  await rm(directory.socketDir, { recursive: true, force: true });
  const pid = await postmasterPid(directory);
  if (pid === undefined) return;
  if (isAlive(pid) && (await worksIn(pid, directory.cluster))) {
    throw new EmbeddedPostgresError(
      `A PostgreSQL started by hand (pid ${pid}) runs on ${directory.cluster}: stop it first.`,
    );
  }
  await rm(join(directory.cluster, 'postmaster.pid'), { force: true });
}

/** The pid in the cluster's own lock file, if there is one. */
export async function postmasterPid(directory: Pick<DataDirectory, 'cluster'>): Promise<number | undefined> {
  const pid = Number.parseInt((await postmasterLines(directory))[0] ?? '', 10);
  return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
}

/** Whether the running postmaster says that it takes connections (the eighth line, which pg_ctl reads too). */
export async function postmasterIsReady(directory: DataDirectory): Promise<boolean> {
  return (await postmasterLines(directory))[7]?.trim() === 'ready';
}

async function postmasterLines(directory: Pick<DataDirectory, 'cluster'>): Promise<string[]> {
  const text = await readFile(join(directory.cluster, 'postmaster.pid'), 'utf8').catch(() => '');
  return text.split('\n');
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** A postmaster works in its cluster; where that cannot be read (macOS), every live pid counts as one. */
async function worksIn(pid: number, cluster: string): Promise<boolean> {
  return readlink(`/proc/${pid}/cwd`).then(
    (cwd) => cwd === cluster,
    () => process.platform !== 'linux',
  );
}

function layoutOf(root: string): DataDirectory {
  return {
    root,
    cluster: join(root, 'postgres'),
    newCluster: join(root, 'postgres.new'),
    socketDir: join(root, 'postgres.socket'),
    password: join(root, 'postgres.password'),
    log: join(root, 'postgres.log'),
    processLock: join(root, 'lock'),
    clusterLock: join(root, 'postgres.lock'),
  };
}
