import 'reflect-metadata';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig } from '#libs/config';
import { Database } from '#libs/database';
import { createLogger } from '#libs/observability';
import { createApp } from './create-app.js';
import { buildDocument } from './openapi-document.js';

const FILE = 'libs/contracts/openapi.json';

/** Writes (`--write`) or compares (`--check`) the committed OpenAPI document. Needs no database: nothing is started. */
async function main(): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), 'chatapi-openapi-'));
  const config = readConfig({ DATA_DIR: dataDir, LOG_LEVEL: 'error' });
  const app = await createApp(config, new Database('postgresql://nobody@127.0.0.1:1/none'), createLogger('error'));
  const text = `${JSON.stringify(buildDocument(app, 'http://localhost:8000'), null, 2)}\n`;
  rmSync(dataDir, { recursive: true });
  if (process.argv.includes('--write')) {
    writeFileSync(FILE, text);
    process.exit(0);
  }
  const same = existsSync(FILE) && readFileSync(FILE, 'utf8') === text;
  if (!same) process.stderr.write(`${FILE} is not what the code says: run npm run contract:write and commit it.\n`);
  process.exit(same ? 0 : 1);
}

await main();
