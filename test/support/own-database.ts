import { randomUUID } from 'node:crypto';
import { Database, migrate } from '#libs/database';
import { testDatabaseUrl } from './api.js';

/** A migrated database that no other test uses: for what looks at all tenants, or breaks things. */
export interface OwnDatabase {
  url: string;
  /** Drops it, whoever is still connected. */
  drop(): Promise<void>;
}

/** Creates one on the server of the test run. */
export async function anOwnDatabase(server = testDatabaseUrl()): Promise<OwnDatabase> {
  const name = `own_${randomUUID().replaceAll('-', '')}`;
  const admin = new Database(server, { max: 1 });
  await admin.query(`CREATE DATABASE ${name} TEMPLATE template0`);
  const url = server.replace(/\/[^/?]+(\?|$)/, `/${name}$1`);
  await migrate(url);
  return {
    url,
    drop: async () => {
      await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
      await admin.close();
    },
  };
}
