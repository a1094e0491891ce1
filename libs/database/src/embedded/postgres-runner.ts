import { execFile } from 'node:child_process';
import { chown, lstat, readdir, readFile, stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { CHILD_ENVIRONMENT, type PostgresBinaries } from './binaries.js';
import type { DataDirectory } from './data-directory.js';
import { EmbeddedPostgresError } from './embedded-postgres.error.js';

const run = promisify(execFile);

/** As whom the database's programs run. */
export interface PostgresRunner {
  /** Words before the program's own. */
  readonly prefix: readonly string[];
  /** The user to become and to own the files; none = the current one. */
  readonly owner?: { readonly uid: number; readonly gid: number };
}

const DIRECT: PostgresRunner = { prefix: [] };

/** Another user's number inside, our own outside: PostgreSQL sees no root, and the files stay ours. */
const OWN_NAMESPACE: PostgresRunner = { prefix: ['unshare', '-U', '--map-user=65534', '--map-group=65534', '--'] };

/** Chooses how to run programs that refuse root, or throws a sentence when there is no way on this machine. */
export async function chooseRunner(binaries: PostgresBinaries, directory: DataDirectory): Promise<PostgresRunner> {
  if (process.geteuid?.() !== 0) return runnerOfOrdinaryUser(binaries, directory);
  for (const candidate of await candidatesOfRoot(directory)) {
    if (!(await works(candidate, binaries, directory))) continue;
    if (candidate.owner) await giveTo(candidate.owner, directory);
    return candidate;
  }
  throw new EmbeddedPostgresError(
    'PostgreSQL refuses to run as root, and neither a user namespace nor an unprivileged user can be used for ' +
      `${directory.root} here: start ChatAPI as an ordinary user, or set DATABASE_URL.`,
  );
}

/** Hands a file or directory that we made to the user who runs the database. */
export async function handOver(path: string, runner: PostgresRunner): Promise<void> {
  if (runner.owner) await chown(path, runner.owner.uid, runner.owner.gid);
}

/** initdb wants a name for its user; a container may run us under a number that has none. */
async function runnerOfOrdinaryUser(binaries: PostgresBinaries, directory: DataDirectory): Promise<PostgresRunner> {
  try {
    userInfo();
    return DIRECT;
  } catch {
    return (await works(OWN_NAMESPACE, binaries, directory)) ? OWN_NAMESPACE : DIRECT;
  }
}

/** A cluster that belongs to somebody is run by them; PostgreSQL insists on it. */
async function candidatesOfRoot(directory: DataDirectory): Promise<PostgresRunner[]> {
  const cluster = await ownerOf(directory.cluster);
  if (cluster) return [{ prefix: [], owner: cluster }];
  const owners = [await ownerAbove(directory.root), await userNamed('postgres'), await userNamed('nobody')];
  return [OWN_NAMESPACE, ...owners.flatMap((owner) => (owner ? [{ prefix: [], owner }] : []))];
}

async function works(runner: PostgresRunner, binaries: PostgresBinaries, directory: DataDirectory): Promise<boolean> {
  const [program = '', ...args] = [
    ...runner.prefix,
    ...['/bin/sh', '-c', 'test -x "$1" && exec "$2" --version', 'probe', directory.root, binaries.postgres],
  ];
  const options = { cwd: '/', env: CHILD_ENVIRONMENT, ...runner.owner };
  return run(program, args, options).then(
    () => true,
    () => false,
  );
}

/** The cluster's top directory goes last: while it is still root's, an interrupted hand-over is begun again. */
async function giveTo(owner: { uid: number; gid: number }, directory: DataDirectory): Promise<void> {
  await chownIfThere(directory.password, owner);
  const top = await lstat(directory.cluster).catch(() => undefined);
  if (!top || top.uid === owner.uid) return;
  const entries = await readdir(directory.cluster, { recursive: true });
  for (const entry of entries) await chownIfThere(join(directory.cluster, entry), owner);
  await chownIfThere(directory.cluster, owner);
}

async function chownIfThere(path: string, owner: { uid: number; gid: number }): Promise<void> {
  await chown(path, owner.uid, owner.gid).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
}

async function ownerOf(path: string): Promise<{ uid: number; gid: number } | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found && found.uid !== 0 ? { uid: found.uid, gid: found.gid } : undefined;
}

/** Whoever the directory lies with: root in a user's home finds the one user whom its closed doors let through. */
async function ownerAbove(path: string): Promise<{ uid: number; gid: number } | undefined> {
  const owner = await ownerOf(path);
  return owner || path === dirname(path) ? owner : ownerAbove(dirname(path));
}

async function userNamed(name: string): Promise<{ uid: number; gid: number } | undefined> {
  const lines = (await readFile('/etc/passwd', 'utf8').catch(() => '')).split('\n');
  const fields = lines.map((line) => line.split(':')).find(([user]) => user === name);
  const [uid, gid] = [Number(fields?.[2]), Number(fields?.[3])];
  return uid > 0 && gid > 0 ? { uid, gid } : undefined;
}
