import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { migrate, startEmbeddedPostgres } from '#libs/database';

/** Runs one TypeORM command on the database and says whether it succeeded; its output is shown only if it did not. */
function typeorm(url: string, ...args: string[]): boolean {
  const result = spawnSync(process.execPath, ['node_modules/typeorm/cli.js', ...args, '-d', 'dist/ormconfig.js'], {
    env: { ...process.env, DATABASE_URL: url },
    encoding: 'utf8',
  });
  if (result.status === 0) return true;
  console.error(`typeorm ${args[0]} failed\n${result.stdout}${result.stderr}`);
  return false;
}

/** Entities and migrations say the same, and the last migration can be reverted and run again. */
async function check(): Promise<boolean> {
  const directory = mkdtempSync(join(tmpdir(), 'chatapi-migrations-'));
  try {
    const postgres = await startEmbeddedPostgres({ dataDir: join(directory, 'data') });
    try {
      await migrate(postgres.url);
      return (
        typeorm(postgres.url, 'migration:generate', '--check', join(directory, 'Drift')) &&
        typeorm(postgres.url, 'migration:revert') &&
        typeorm(postgres.url, 'migration:run')
      );
    } finally {
      await postgres.stop();
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const clean = await check();
if (clean) console.log('Entities and migrations agree; the last migration reverts and runs again.');
process.exitCode = clean ? 0 : 1;
