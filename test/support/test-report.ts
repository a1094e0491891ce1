import { relative, resolve } from 'node:path';
import type { run } from 'node:test';
import { inspect } from 'node:util';

/** What a run came to. Suites are not counted; their tests are. */
export interface TestTotals {
  readonly tests: number;
  readonly failed: number;
  readonly skips: readonly { readonly name: string; readonly reason: string }[];
}

/** A finished test or suite, as the runner tells it. */
interface Finished {
  readonly name: string;
  readonly nesting: number;
  readonly file?: string;
  readonly skip?: string | boolean;
  readonly todo?: string | boolean;
  readonly details: { readonly duration_ms: number; readonly type?: string; readonly error?: Error };
}

/** Node's word for listeners that pile up; whoever leaks them has failed, whatever the tests say. */
export const LEAK_WARNING = 'MaxListenersExceededWarning';

interface FileCount {
  pass: number;
  fail: number;
  skip: number;
  durationMs: number;
  /** What the file wrote, shown if it fails: where it could not even load, nothing else says why. */
  output: string;
}

/** Prints failures in full, one line per file, totals in the lines of node's own reporters, and each failure in a line. */
export async function report(events: ReturnType<typeof run>): Promise<TestTotals> {
  const startedAt = performance.now();
  const files = new Map<string, FileCount>();
  const skips: { name: string; reason: string }[] = [];
  const failures: string[] = [];
  for await (const event of events) {
    if (event.type === 'test:stdout' || event.type === 'test:stderr') {
      const count = countOf(files, relative(process.cwd(), event.data.file));
      count.output += event.data.message;
      if (event.data.message.includes(LEAK_WARNING)) {
        count.fail++;
        failures.push(`${relative(process.cwd(), event.data.file)}: ${LEAK_WARNING}`);
      }
    }
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue;
    const test = event.data as Finished;
    const file = relative(process.cwd(), test.file ?? '(no file)');
    const count = countOf(files, file);
    if (test.nesting === 0) count.durationMs += test.details.duration_ms;
    if (event.type === 'test:fail' && !test.todo && !isOnlyItsTests(test)) {
      printFailure(file, test);
      failures.push(`${file}: ${test.name}: ${oneLine(test.details.error)}`);
    }
    // A skipped suite tells nothing of its tests, so it counts itself.
    if (isSkipped(test)) {
      count.skip++;
      skips.push({ name: test.name, reason: String(test.skip || test.todo) });
    } else if (test.details.type === 'suite') {
      // A suite whose own hook failed has no failed test to speak for it.
      if (event.type === 'test:fail' && !isOnlyItsTests(test)) count.fail++;
    } else if (event.type === 'test:pass' && isWholeFile(test)) {
      // The runner calls a file without tests a passed test.
      failures.push(`${file}: has no tests`);
      count.fail++;
    } else if (event.type === 'test:pass') count.pass++;
    else count.fail++;
  }
  const totals = printTotals(files, performance.now() - startedAt);
  // Once more, last: of a long output often only the end is kept.
  for (const failure of failures) console.log(`✖ ${failure}`);
  return { ...totals, skips };
}

function isWholeFile({ name, nesting, file }: Finished): boolean {
  return nesting === 0 && file !== undefined && resolve(name) === resolve(file);
}

function countOf(files: Map<string, FileCount>, file: string): FileCount {
  let count = files.get(file);
  if (!count) files.set(file, (count = { pass: 0, fail: 0, skip: 0, durationMs: 0, output: '' }));
  return count;
}

function isSkipped({ skip, todo }: Finished): boolean {
  return (skip !== undefined && skip !== false) || (todo !== undefined && todo !== false);
}

function isOnlyItsTests({ details }: Finished): boolean {
  return (details.error as { failureType?: string } | undefined)?.failureType === 'subtestsFailed';
}

function oneLine(error: Error | undefined): string {
  const cause = error?.cause ?? error;
  const text = cause instanceof Error ? cause.message : String(cause);
  return text.trim().replace(/\s+/g, ' ').slice(0, 300);
}

function printFailure(file: string, { name, details: { error } }: Finished): void {
  console.log(`\n✖ ${file}: ${name}\n${inspect(error?.cause ?? error, { depth: 6 })}\n`);
}

function printTotals(files: Map<string, FileCount>, durationMs: number): { tests: number; failed: number } {
  const sum = { pass: 0, fail: 0, skip: 0 };
  for (const [file, { pass, fail, skip, durationMs: ms, output }] of files) {
    if (fail > 0 && output) console.log(`\n-- output of ${file}\n${output}`);
    const skipped = skip > 0 ? `, ${skip} skipped` : '';
    console.log(`${fail > 0 ? '✖' : '✔'} ${file}  ${pass} passed, ${fail} failed${skipped}  ${Math.round(ms)} ms`);
    sum.pass += pass;
    sum.fail += fail;
    sum.skip += skip;
  }
  const tests = sum.pass + sum.fail + sum.skip;
  console.log(`# tests ${tests}\n# pass ${sum.pass}\n# fail ${sum.fail}\n# skipped ${sum.skip}`);
  console.log(`# duration_ms ${Math.round(durationMs)}`);
  return { tests, failed: sum.fail };
}
