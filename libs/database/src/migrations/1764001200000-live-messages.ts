import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * What was deleted lies apart in the index of a room's messages, so that a page meets none of it, however much there is.
 * As one index of all messages: the foreign key to the room looks through it, and a send pays for no other. It keeps a
 * seq unique within each part only; that none is given twice is the doing of the room's counter and its lock.
 */
export class LiveMessages1764001200000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX messages_room_seq_key');
    await runner.query(
      'CREATE UNIQUE INDEX messages_room_seq_key ON messages (client_id, room_id, (deleted_at IS NULL), seq)',
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX messages_room_seq_key');
    await runner.query('CREATE UNIQUE INDEX messages_room_seq_key ON messages (client_id, room_id, seq)');
  }
}
