import { mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import pg from 'pg';
import { DATABASE_USER, type StartContext } from './cluster.js';
import { postmasterIsReady } from './data-directory.js';
import { EmbeddedPostgresError, errorCode } from './embedded-postgres.error.js';
import { type LifeLine, startOnLifeLine } from './life-line.js';
import { handOver } from './postgres-runner.js';

const DATABASE = 'chatapi';
const SOCKET_PORT = 5432;
/** The kernel's limit is 108 bytes on Linux and 104 on macOS. */
const MAX_SOCKET_PATH_BYTES = 100;
const NO_SUCH_DATABASE = '3D000';
const WRONG_PASSWORD = '28P01';

/** Durability is left as PostgreSQL has it. What the server logs holds no statement and no value of a row. */
const SETTINGS = [
  ...['max_connections=100', 'shared_buffers=128MB', 'jit=off', 'timezone=UTC', 'log_timezone=UTC'],
  ...['unix_socket_permissions=0700', 'password_encryption=scram-sha-256'],
  ...['log_destination=stderr', 'logging_collector=off', 'log_checkpoints=off'],
  ...['log_min_error_statement=panic', 'log_error_verbosity=terse', 'log_statement=none'],
];

/** Where the server is and who we are to it; every field for `pg`, and for TypeORM with `user` as `username`. */
export interface EmbeddedPostgresConnection {
  /** The directory of the unix socket, or 127.0.0.1. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly ssl: false;
}

/** A server that takes connections. */
export interface RunningServer {
  readonly lifeLine: LifeLine;
  readonly connection: EmbeddedPostgresConnection;
}

/** Starts the server on the cluster and returns when it takes connections and has our database. */
export async function startServer(context: StartContext, password: string): Promise<RunningServer> {
  const { binaries, directory, runner, locks, serverLog } = context;
  const { host, port, settings } = await placeToListen(context);
  const command = [binaries.postgres, '-D', directory.cluster];
  for (const setting of [...settings, ...SETTINGS]) command.push('-c', setting);
  context.limit.throwIfCancelled();
  const lifeLine = startOnLifeLine(runner, command, { logFd: serverLog.fd, lockFd: locks.clusterFd });
  try {
    await waitUntilReady(context, lifeLine);
    const connection = { host, port, user: DATABASE_USER, password, database: DATABASE, ssl: false } as const;
    await ensureDatabase(connection, directory.password);
    context.limit.throwIfCancelled();
    return { lifeLine, connection };
  } catch (error) {
    lifeLine.letGo();
    await lifeLine.exited;
    throw error;
  }
}

/** The connection as a URL that `pg` and TypeORM's `url` both understand. */
export function connectionUrl(connection: EmbeddedPostgresConnection): string {
  const { host, port, user, password, database } = connection;
  const where = host.startsWith('/') ? ['', `&host=${encodeURIComponent(host)}&port=${port}`] : [`${host}:${port}`, ''];
  return `postgresql://${user}:${encodeURIComponent(password)}@${where[0]}/${database}?sslmode=disable${where[1]}`;
}

/** A unix socket where its path is short enough: no port to collide on, and only our user can reach it. */
async function placeToListen({ directory, runner }: StartContext) {
  const socket = join(directory.socketDir, `.s.PGSQL.${SOCKET_PORT}`);
  if (Buffer.byteLength(socket) < MAX_SOCKET_PATH_BYTES) {
    await mkdir(directory.socketDir, { mode: 0o700 });
    await handOver(directory.socketDir, runner);
    // The setting is a list: quoted, a comma in the path is no separator.
    const quoted = `"${directory.socketDir.replaceAll('"', '""')}"`;
    const settings = ['listen_addresses=', `port=${SOCKET_PORT}`, `unix_socket_directories=${quoted}`];
    return { host: directory.socketDir, port: SOCKET_PORT, settings };
  }
  const port = await freePort();
  const settings = ['listen_addresses=127.0.0.1', `port=${port}`, 'unix_socket_directories='];
  return { host: '127.0.0.1', port, settings };
}

async function waitUntilReady({ directory, serverLog, limit }: StartContext, lifeLine: LifeLine): Promise<void> {
  const inTime = await limit.until(() => lifeLine.hasExited() || postmasterIsReady(directory));
  if (inTime && !lifeLine.hasExited()) return;
  const what = inTime ? 'could not start' : 'took too long to start';
  throw new EmbeddedPostgresError(
    `The embedded PostgreSQL ${what} in ${directory.root}: ${await serverLog.lastLines(6)}`,
  );
}

async function ensureDatabase(connection: EmbeddedPostgresConnection, passwordFile: string): Promise<void> {
  try {
    await query(connection, 'select 1').catch(async (error: unknown) => {
      if (errorCode(error) !== NO_SUCH_DATABASE) throw error;
      await query({ ...connection, database: 'postgres' }, `create database ${DATABASE}`);
    });
  } catch (error) {
    const reason =
      errorCode(error) === WRONG_PASSWORD
        ? `the password in ${passwordFile} is not the database's`
        : (error as Error).message;
    throw new EmbeddedPostgresError(`The embedded PostgreSQL started but cannot be used: ${reason}.`);
  }
}

async function query(connection: EmbeddedPostgresConnection, sql: string): Promise<void> {
  const client = new pg.Client(connection);
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query(sql);
  } finally {
    await client.end().catch(() => undefined);
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}
