import type { MigrationInterface, QueryRunner } from 'typeorm';

const UP = `
CREATE TABLE used_tickets (
  client_id uuid NOT NULL,
  id uuid NOT NULL,
  expires_at timestamptz(3) NOT NULL,
  CONSTRAINT used_tickets_pkey PRIMARY KEY (client_id, id),
  CONSTRAINT used_tickets_client_fkey FOREIGN KEY (client_id) REFERENCES clients (id) ON DELETE CASCADE
);
-- What may be forgotten.
CREATE INDEX used_tickets_expires_idx ON used_tickets (expires_at);
`;

/** Socket tickets that have been used, so that no process lets one in twice. */
export class UsedTickets1764000200000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(UP);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE used_tickets');
  }
}
