import type { MigrationInterface, QueryRunner } from 'typeorm';

const UP = `
CREATE TABLE email_providers (
  client_id uuid NOT NULL,
  provider_type varchar(16) NOT NULL,
  id uuid NOT NULL,
  -- Sealed: host, user and secrets alike. Begins with the id of the key.
  config bytea NOT NULL,
  is_primary boolean NOT NULL,
  is_bulk boolean NOT NULL,
  default_from_email varchar(254) NOT NULL,
  default_from_name varchar(255),
  created_at timestamptz(3) NOT NULL,
  updated_at timestamptz(3) NOT NULL,
  CONSTRAINT email_providers_pkey PRIMARY KEY (client_id, provider_type),
  CONSTRAINT email_providers_client_fkey FOREIGN KEY (client_id) REFERENCES clients (id) ON DELETE CASCADE
);
CREATE UNIQUE INDEX email_providers_primary_key ON email_providers (client_id) WHERE is_primary;
CREATE UNIQUE INDEX email_providers_bulk_key ON email_providers (client_id) WHERE is_bulk;
`;

/** The mail providers of a client. */
export class EmailProviders1764000400000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(UP);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE email_providers');
  }
}
