import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Database } from '#libs/database';
import { anOwnDatabase, type OwnDatabase } from '../../../test/support/own-database.js';
import { KeyDirectory } from './key-directory.js';
import { createKey } from './keys.js';

const KEYS = 200;

describe('The memory of keys', () => {
  let own: OwnDatabase;
  let database: Database;
  let directory: KeyDirectory;
  before(async () => {
    own = await anOwnDatabase();
    database = new Database(own.url, { max: 2 });
    directory = new KeyDirectory(database);
    await directory.onModuleInit();
  });
  after(async () => {
    await directory.onApplicationShutdown();
    await database.close();
    await own.drop();
  });

  it('keeps of a key no more than its hash', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const clientId = randomUUID();
    await database.query(
      `INSERT INTO clients (id, name, created_at, updated_at) VALUES ($1, 'Many keys', now(), now())`,
      [clientId],
    );
    const keys = Array.from({ length: KEYS }, () => createKey('client'));
    for (const { publicId, hash } of keys) {
      await database.query(
        `INSERT INTO api_keys (client_id, id, kind, public_id, hash, created_at)
         VALUES ($1, $2, 'client', $3, $4, now())`,
        [clientId, randomUUID(), publicId, hash],
      );
    }
    const held = (): number => {
      collect();
      collect();
      return process.memoryUsage().arrayBuffers;
    };
    const before = held();
    for (const { key } of keys) await directory.verify(key);
    const perKey = (held() - before) / KEYS;
    assert.ok(perKey < 1_000, `${perKey} bytes a key`);
  });
});
