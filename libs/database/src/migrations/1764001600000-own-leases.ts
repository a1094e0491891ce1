import type { MigrationInterface, QueryRunner } from 'typeorm';
import { CLAIM_BY_PLACE } from './1764001300000-queue-by-place.js';
import { replacing } from './replacing.js';

const DUE = `WHERE t.stage <> 'ready' AND t.next_attempt_at <= v_now\n`;

/**
 * What the claiming process itself has in hand does not come due, however long its lease is over: it lives, so it will
 * record it.
 */
export class OwnLeases1764001600000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    const own = '      AND t.id <> ALL (p_own) AND t.id <> ALL (p_ended)\n';
    await runner.query(replacing(CLAIM_BY_PLACE, DUE, DUE + own));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(CLAIM_BY_PLACE);
  }
}
