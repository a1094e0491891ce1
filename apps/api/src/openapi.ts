import 'reflect-metadata';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig } from '#libs/config';
import { ASYNCAPI_FILE, OPENAPI_FILE } from '#libs/contracts';
import { Database } from '#libs/database';
import { createLogger } from '#libs/observability';
import { buildAsyncApi } from './asyncapi-document.js';
import { createApp } from './create-app.js';
import { buildDocument } from './openapi-document.js';

const SERVER = 'http://localhost:8000';

/** Writes (`--write`) or compares (`--check`) the committed API documents. Needs no database: nothing is started. */
async function main(): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), 'chatapi-openapi-'));
  const config = readConfig({ DATA_DIR: dataDir, LOG_LEVEL: 'error' });
  const app = await createApp(config, new Database('postgresql://nobody@127.0.0.1:1/none'), createLogger('error'));
  const documents = { [OPENAPI_FILE]: buildDocument(app, SERVER), [ASYNCAPI_FILE]: buildAsyncApi(app, SERVER) };
  rmSync(dataDir, { recursive: true });
  let same = true;
  for (const [file, document] of Object.entries(documents)) {
    const text = `${JSON.stringify(document, null, 2)}\n`;
    if (process.argv.includes('--write')) writeFileSync(file, text);
    else if (!existsSync(file) || readFileSync(file, 'utf8') !== text) {
      process.stderr.write(`${file} is not what the code says: run npm run contract:write and commit it.\n`);
      same = false;
    }
  }
  process.exit(same ? 0 : 1);
}

await main();
