import { setMaxListeners } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { run } from 'node:test';
import { LEAK_WARNING, report } from './support/test-report.js';
import { startTestServices } from './support/test-services.js';

/** The runner's limit is per file; a file holds its tests to the same. Long proofs by hand, such as a hundred kills, need more. */
const FILE_TIMEOUT_MS = Number(process.env['TEST_TIMEOUT_S'] ?? 300) * 1_000;

/** Test files per processor: many wait, for a lease to end or another process to start. */
const FILES_PER_PROCESSOR = 2;
const MAX_CONCURRENCY = 6;

/** What takes long begins first, the longest at the top, so that the run does not end with one of them alone. */
const LONGEST_FIRST = [
  'test/process/delivery-crashes',
  'test/process/notification-crashes',
  'test/process/webhooks-crash',
  'test/process/several-processes',
  'test/e2e/realtime/model',
  'test/e2e/webhooks/misbehaving',
  'libs/jobs/src/delivery-engine-broken',
  'libs/jobs/src/delivery-engine-guarantees',
  'test/e2e/pages',
  'test/e2e/webhooks/examples',
  'test/process/start-stop',
  'libs/database/src/embedded/embedded-postgres-lifetime',
  'test/process/worker',
  'test/e2e/notifications/email',
];

/** Reasons to skip a test that are no gap in what CI proves: another user's, or an example for a language that is not there. */
const ALLOWED_SKIPS = ['root only', 'not root', 'php is not installed', 'python3 is not installed'];

/** Where a file comes in {@link LONGEST_FIRST}; all others come after. */
function rank(file: string): number {
  const index = LONGEST_FIRST.findIndex((name) => file === join('dist', `${name}.test.js`));
  return index < 0 ? LONGEST_FIRST.length : index;
}

/** The compiled tests whose source still exists, those only whose path contains one of the filters, if there are any. */
function testFiles(filters: string[]): string[] {
  const files = ['libs', 'apps', 'test'].flatMap((root) => {
    const folder = join('dist', root);
    if (!existsSync(folder)) return [];
    return readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.test.js') && existsSync(join(root, file.replace(/\.js$/, '.ts'))))
      .map((file) => join(folder, file));
  });
  if (filters.length === 0) {
    const gone = LONGEST_FIRST.filter((name) => !files.includes(join('dist', `${name}.test.js`)));
    if (gone.length > 0) throw new Error(`LONGEST_FIRST names files that do not exist: ${gone.join(', ')}`);
  }
  return files
    .filter((file) => filters.length === 0 || filters.some((filter) => file.includes(filter)))
    .sort()
    .sort((a, b) => rank(a) - rank(b));
}

async function main(signal: AbortSignal): Promise<boolean> {
  const files = testFiles(process.argv.slice(2));
  if (files.length === 0) {
    console.error('No test file was found.');
    return false;
  }
  let leaks = false;
  process.on('warning', ({ name }) => (leaks ||= name === LEAK_WARNING));
  const stop = await startTestServices(signal);
  try {
    const concurrency = Math.min(availableParallelism() * FILES_PER_PROCESSOR, MAX_CONCURRENCY);
    // The runner listens once for each file.
    setMaxListeners(files.length + 1, signal);
    const totals = await report(run({ files, concurrency, timeout: FILE_TIMEOUT_MS, signal }));
    const unexplained = totals.skips.filter(({ reason }) => !ALLOWED_SKIPS.some((start) => reason.startsWith(start)));
    if (process.env.CI !== 'true' || unexplained.length === 0) return totals.failed === 0 && totals.tests > 0 && !leaks;
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
