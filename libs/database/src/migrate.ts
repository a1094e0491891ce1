import { DataSource, type DataSourceOptions } from 'typeorm';
import { Foundation1700000000000 } from './migrations/1700000000000-foundation.js';
import { Outbox1764000000000 } from './migrations/1764000000000-outbox.js';
import { StoreMessages1764000100000 } from './migrations/1764000100000-store-messages.js';
import { UsedTickets1764000200000 } from './migrations/1764000200000-used-tickets.js';
import { DeliveryClaims1764000300000 } from './migrations/1764000300000-delivery-claims.js';
import { EmailProviders1764000400000 } from './migrations/1764000400000-email-providers.js';
import { Notifications1764000500000 } from './migrations/1764000500000-notifications.js';
import { EventOrder1764000600000 } from './migrations/1764000600000-event-order.js';
import { DeliveryAhead1764000700000 } from './migrations/1764000700000-delivery-ahead.js';
import { LeanSends1764000800000 } from './migrations/1764000800000-lean-sends.js';
import { RelayLeases1764000900000 } from './migrations/1764000900000-relay-leases.js';
import { FactsWithSends1764001000000 } from './migrations/1764001000000-facts-with-sends.js';
import { LeanRelay1764001100000 } from './migrations/1764001100000-lean-relay.js';
import { LiveMessages1764001200000 } from './migrations/1764001200000-live-messages.js';
import { QueueByPlace1764001300000 } from './migrations/1764001300000-queue-by-place.js';
import { ReleaseByPlace1764001400000 } from './migrations/1764001400000-release-by-place.js';
import { LiveChanges1764001500000 } from './migrations/1764001500000-live-changes.js';
import { OwnLeases1764001600000 } from './migrations/1764001600000-own-leases.js';

/** Every migration, oldest first. */
const MIGRATIONS = [
  Foundation1700000000000,
  Outbox1764000000000,
  StoreMessages1764000100000,
  UsedTickets1764000200000,
  DeliveryClaims1764000300000,
  EmailProviders1764000400000,
  Notifications1764000500000,
  EventOrder1764000600000,
  DeliveryAhead1764000700000,
  LeanSends1764000800000,
  RelayLeases1764000900000,
  FactsWithSends1764001000000,
  LeanRelay1764001100000,
  LiveMessages1764001200000,
  QueueByPlace1764001300000,
  ReleaseByPlace1764001400000,
  LiveChanges1764001500000,
  OwnLeases1764001600000,
];

/** TypeORM's options for a database: migrations by us, never `synchronize`. */
export function dataSourceOptions(url: string, entities: DataSourceOptions['entities'] = []): DataSourceOptions {
  return {
    type: 'postgres',
    url,
    entities,
    migrations: MIGRATIONS,
    migrationsTransactionMode: 'each',
    synchronize: false,
    logging: false,
  };
}

// Any constant: several processes that start together migrate one after another.
const MIGRATION_LOCK = 7226851;

/** Brings the database at `url` to the newest schema; concurrent callers wait for one another. */
export async function migrate(url: string): Promise<void> {
  const source = await new DataSource({ ...dataSourceOptions(url), poolSize: 3 } as DataSourceOptions).initialize();
  const runner = source.createQueryRunner();
  try {
    await runner.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    await source.runMigrations();
  } finally {
    await runner.query('SELECT pg_advisory_unlock($1)', [MIGRATION_LOCK]).catch(() => undefined);
    await runner.release();
    await source.destroy();
  }
}

/** Names of the migrations this build has. */
export const MIGRATION_NAMES = MIGRATIONS.map((migration) => migration.name);
