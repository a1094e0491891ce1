/** What both reference servers share: the table they write to, and how they tell the harness that they listen. */
import { createHash } from 'node:crypto';
import pg from 'pg';

/** The one tenant and sender of the references. */
export const CLIENT_ID = '01980000-0000-7000-8000-000000000001';
/** Stands for the user whose key sends. */
export const SENDER_ID = '01980000-0000-7000-8000-000000000002';
/** The key R2 looks up. */
export const API_KEY = 'sk_user_benchmark_0123456789012345678901234567890123456789';

/** As stored: no key is kept in the clear. */
export function hashKey(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}

/** The columns, primary key and unique index of our messages table, without its foreign keys. */
const SCHEMA = `
CREATE TABLE messages (
  client_id uuid NOT NULL, id uuid NOT NULL, room_id uuid NOT NULL, seq bigint NOT NULL, change_seq bigint NOT NULL,
  sender_id uuid, content text NOT NULL, message_type varchar(8) NOT NULL, meta jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz(3) NOT NULL, updated_at timestamptz(3) NOT NULL,
  CONSTRAINT messages_pkey PRIMARY KEY (client_id, id)
);
CREATE UNIQUE INDEX messages_room_seq_key ON messages (client_id, room_id, seq);
CREATE TABLE api_keys (
  id uuid PRIMARY KEY, key_hash varchar(64) NOT NULL UNIQUE, client_id uuid NOT NULL, user_id uuid NOT NULL,
  is_active boolean NOT NULL DEFAULT true
);`;

/** Creates the tables of a reference and the one key. */
export async function createReferenceTables(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(SCHEMA);
    await client.query('INSERT INTO api_keys (id, key_hash, client_id, user_id) VALUES ($1, $2, $3, $4)', [
      SENDER_ID,
      hashKey(API_KEY),
      CLIENT_ID,
      SENDER_ID,
    ]);
  } finally {
    await client.end();
  }
}

/** What the harness hands to a reference in the environment. */
export function referenceSettings(): { databaseUrl: string; port: number; poolSize: number } {
  const { DATABASE_URL, PORT, POOL_SIZE } = process.env;
  if (!DATABASE_URL || !PORT || !POOL_SIZE) throw new Error('DATABASE_URL, PORT and POOL_SIZE must be set.');
  return { databaseUrl: DATABASE_URL, port: Number(PORT), poolSize: Number(POOL_SIZE) };
}

/** Ends this process with the harness: at its SIGTERM, or when it is gone. */
export function endWithHarness(): void {
  process.on('SIGINT', () => undefined);
  process.on('disconnect', () => process.exit(0));
}
