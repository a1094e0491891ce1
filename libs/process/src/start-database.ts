import { Database, migrate, startEmbeddedPostgres, type EmbeddedPostgres } from '#libs/database';
import type { Config } from '#libs/config';
import { faultOf } from '#libs/observability';
import type { Logger } from 'pino';

/** A migrated database, and how to stop what was started for it. */
export interface StartedDatabase {
  database: Database;
  embedded: EmbeddedPostgres | undefined;
}

/** Uses `DATABASE_URL`, else starts the embedded PostgreSQL; then migrates. */
export async function startDatabase(config: Config, logger: Logger): Promise<StartedDatabase> {
  const embedded = config.databaseUrl ? undefined : await startEmbeddedPostgres({ dataDir: config.dataDir });
  const url = config.databaseUrl ?? embedded!.url;
  await migrate(url);
  const database = new Database(url, {
    onError: (error) => logger.warn({ fault: faultOf(error) }, 'database connection lost'),
  });
  return { database, embedded };
}
