import type { INestApplicationContext } from '@nestjs/common';
import { loadConfig, type Config } from '#libs/config';
import type { Database } from '#libs/database';
import { createLogger, Health } from '#libs/observability';
import type { Logger } from 'pino';
import { explain } from './explain.js';
import { startDatabase } from './start-database.js';

/** Longest a process takes to end; what has not finished then is cut off. */
const DRAIN_MS = 25_000;

/** An application that is put together and not yet open. */
export interface Prepared {
  app: INestApplicationContext;
  /** Opens it, and says so. */
  open(): Promise<void>;
}

/** Puts the application together, on a migrated database. */
export type Prepare = (config: Config, database: Database, logger: Logger) => Promise<Prepared>;

/**
 * The life of a process: configuration, database, application; on SIGTERM or SIGINT all of it ended in order, with exit
 * code 0, or 1 when that takes too long. A start that fails says why in one sentence and exits with 1. `load` imports
 * the application's code, which takes a second and more, while the database starts.
 */
export function runProcess(load: () => Promise<Prepare>, check: (config: Config) => void = () => undefined): void {
  run(load, check).catch(fail);
}

function fail(error: unknown): void {
  process.stderr.write(`${explain(error)}\n`);
  process.exit(1);
}

async function run(load: () => Promise<Prepare>, check: (config: Config) => void): Promise<void> {
  const config = loadConfig();
  check(config);
  const logger = createLogger(config.logLevel);
  const [{ database, embedded }, prepare] = await Promise.all([startDatabase(config, logger), load()]);
  const prepared = prepare(config, database, logger);
  let stopping = false;
  const stop = async (): Promise<void> => {
    if (stopping) return;
    stopping = true;
    setTimeout(() => process.exit(1), DRAIN_MS).unref();
    const { app } = await prepared;
    app.get(Health).stopping = true;
    await app.close();
    // Last: until here what runs still needs it.
    await embedded?.stop();
    process.exit(0);
  };
  const end = (): void => void stop().catch(fail);
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  void embedded?.exited.then(({ detail }) => {
    if (stopping) return;
    process.stderr.write(`The embedded PostgreSQL ended by itself: ${detail}\n`);
    process.exit(1);
  });
  const { open } = await prepared;
  if (!stopping) await open();
}
