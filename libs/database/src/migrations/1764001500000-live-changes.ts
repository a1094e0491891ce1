import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The order of a room's latest changes without what was deleted, for the list by `updated_at`. Apart from the index of
 * all changes, which the feed reads in one order: only an edit pays for both.
 */
export class LiveChanges1764001500000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `CREATE INDEX messages_live_changes_idx ON messages (client_id, room_id, change_seq)
       WHERE change_seq <> seq AND deleted_at IS NULL`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX messages_live_changes_idx');
  }
}
