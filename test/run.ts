import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { run } from 'node:test';
import { report } from './support/test-report.js';
import { startTestServices } from './support/test-services.js';

/** The runner's limit is per file; a file holds its tests to the same. */
const FILE_TIMEOUT_MS = 300_000;

/** Reasons to skip a test that are no gap in what CI proves. */
const ALLOWED_SKIPS = ['root only', 'not root'];

/** The compiled tests whose source still exists, those only whose path contains one of the filters, if there are any. */
function testFiles(filters: string[]): string[] {
  const files = ['libs', 'apps', 'test'].flatMap((root) => {
    const folder = join('dist', root);
    if (!existsSync(folder)) return [];
    return readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.test.js') && existsSync(join(root, file.replace(/\.js$/, '.ts'))))
      .map((file) => join(folder, file));
  });
  return files.filter((file) => filters.length === 0 || filters.some((filter) => file.includes(filter))).sort();
}

async function main(signal: AbortSignal): Promise<boolean> {
  const files = testFiles(process.argv.slice(2));
  if (files.length === 0) {
    console.error('No test file was found.');
    return false;
  }
  const stop = await startTestServices(signal);
  try {
    const concurrency = Math.min(availableParallelism(), 6);
    const totals = await report(run({ files, concurrency, timeout: FILE_TIMEOUT_MS, signal }));
    const unexplained = totals.skips.filter(({ reason }) => !ALLOWED_SKIPS.some((start) => reason.startsWith(start)));
    if (process.env.CI !== 'true' || unexplained.length === 0) return totals.failed === 0 && totals.tests > 0;
    for (const { name, reason } of unexplained) console.error(`Skipped, which CI does not allow: ${name} (${reason})`);
    return false;
  } finally {
    await stop();
  }
}

const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => interruption.abort());

const passed = await main(interruption.signal).catch((error: unknown) => {
  console.error(error);
  return false;
});
process.exit(passed && !interruption.signal.aborted ? 0 : 1);
