import { Client } from 'pg';
import { testDatabaseUrl } from './api.js';
import { Door } from './door.js';

/** The test run's database behind a door that can be shut. */
export interface BreakableDatabase {
  url: string;
  /** Cuts every connection and refuses new ones. */
  shut(): Promise<void>;
}

/** Opens such a door on a free port. */
export async function breakableDatabase(): Promise<BreakableDatabase> {
  const { host, port, user, password, database } = new Client({ connectionString: testDatabaseUrl() });
  const door = await (host.startsWith('/') ? Door.to(`${host}/.s.PGSQL.${port}`) : Door.to(host, port));
  const login = `${encodeURIComponent(user!)}:${encodeURIComponent(String(password ?? ''))}`;
  return {
    url: `postgresql://${login}@127.0.0.1:${door.number}/${database}?sslmode=disable`,
    shut: () => door.shut(),
  };
}
