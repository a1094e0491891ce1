/** Turns measurements into the Markdown tables of docs/performance.md. */
import type { Measurement } from './load.js';

/** One line of the table: a server in a scenario, round by round. */
export interface Row {
  readonly scenario: string;
  readonly server: 'ours' | 'R1' | 'R2';
  readonly rounds: Measurement[];
}

/** The median; of an even count, the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function medianOf(row: Row, pick: (m: Measurement) => number): number {
  return median(row.rounds.map(pick));
}

/** Throughput against another row, round by round, so that a drift of the machine cancels out. */
export function ratio(row: Row | undefined, to: Row | undefined): string {
  if (!row || !to || row === to) return '–';
  return median(row.rounds.map((m, round) => m.perSecond / to.rounds[round]!.perSecond)).toFixed(2);
}

/** The table, a line for each server and scenario. */
export function table(rows: readonly Row[]): string {
  const lines = rows.map((row) => {
    const base = (server: Row['server']) =>
      rows.find((r) => r.server === server && r.scenario.split(',')[0] === row.scenario.split(',')[0]);
    const failures = row.rounds.reduce((sum, m) => sum + m.failures, 0);
    const cells = [
      row.scenario,
      row.server,
      Math.round(medianOf(row, (m) => m.perSecond)).toString(),
      medianOf(row, (m) => m.p50Ms).toFixed(2),
      medianOf(row, (m) => m.p99Ms).toFixed(2),
      medianOf(row, (m) => m.serverCpuUs).toFixed(0),
      medianOf(row, (m) => m.loadCpuUs).toFixed(0),
      ratio(row, base('R1')),
      ratio(row, base('R2')),
      failures.toString(),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  const head = '| scenario | server | requests/s | p50 ms | p99 ms | server CPU µs | load CPU µs | ÷ R1 | ÷ R2 | failures |';
  return [head, `|${'---|'.repeat(10)}`, ...lines].join('\n');
}
