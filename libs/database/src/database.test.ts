import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { ApiError } from '#libs/common';
import { testDatabaseUrl } from '../../../test/support/api.js';
import { Database } from './database.js';

describe('The time a statement may take', () => {
  let database: Database;
  before(() => {
    database = new Database(testDatabaseUrl(), { max: 1, statementTimeoutMs: 200 });
  });
  after(() => database.close());

  const tooLong = (error: unknown): boolean => error instanceof ApiError && /took too long/.test(error.message);

  it('is longer in a patient transaction, and in no other on the same session', async () => {
    await assert.rejects(database.query('SELECT pg_sleep(1)'), tooLong);
    await database.run(async (tx) => {
      await tx.patient();
      await tx.query('SELECT pg_sleep(0.5)');
    });
    await assert.rejects(
      database.run((tx) => tx.query('SELECT pg_sleep(1)')),
      tooLong,
    );
  });
});
