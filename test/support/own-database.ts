import { randomUUID } from 'node:crypto';
import { Database, migrate } from '#libs/database';
import { testDatabaseUrl } from './api.js';

/** A migrated database that no other test uses: for what looks at all tenants, or breaks things. */
export interface OwnDatabase {
  name: string;
  url: string;
  /** Drops it, whoever is still connected. */
  drop(): Promise<void>;
}

/** Creates one on the server of the test run, by copying a migrated one. */
export async function anOwnDatabase(): Promise<OwnDatabase> {
  return create('own', process.env['TEST_TEMPLATE_DATABASE']!);
}

/** Creates the one that is copied, to which nobody is connected, and names it in `TEST_TEMPLATE_DATABASE`. */
export async function aTemplateDatabase(): Promise<OwnDatabase> {
  const template = await create('template', 'template0');
  try {
    await migrate(template.url);
  } catch (error) {
    await template.drop();
    throw error;
  }
  process.env['TEST_TEMPLATE_DATABASE'] = template.name;
  return template;
}

async function create(prefix: string, template: string): Promise<OwnDatabase> {
  const server = testDatabaseUrl();
  const name = `${prefix}_${randomUUID().replaceAll('-', '')}`;
  const admin = new Database(server, { max: 1 });
  await admin.query(`CREATE DATABASE ${name} TEMPLATE ${template}`);
  return {
    name,
    url: server.replace(/\/[^/?]+(\?|$)/, `/${name}$1`),
    drop: async () => {
      await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
      await admin.close();
    },
  };
}
