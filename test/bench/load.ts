/**
 * The load generator: a process of its own, so that what it costs is never booked on the harness or a server.
 * It takes one {@link Load} at a time by IPC and answers with its {@link Measurement}.
 */
import { readFileSync } from 'node:fs';
import autocannon, { type Client } from 'autocannon';

/** What to send, and for how long. */
export interface Load {
  readonly url: string;
  readonly connections: number;
  readonly headers: Record<string, string>;
  /** Dealt out to the connections, each of which goes round its own share. */
  readonly requests: readonly LoadRequest[];
  /** Not measured; the connections stay open from here into the measured part. */
  readonly warmUpMs: number;
  /** Measured; ignored where `amount` is given. */
  readonly measureMs: number;
  /** Sends exactly so many requests instead (to fill a room). */
  readonly amount?: number;
  /** The server whose CPU time is counted. */
  readonly serverPid: number;
}

/** One request of a load. */
export interface LoadRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: string;
}

/** What one load measured. */
export interface Measurement {
  readonly requests: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers other than 2xx, the warm-up's included, and requests without an answer. */
  readonly failures: number;
  /** One of the failures, to tell what went wrong. */
  readonly failure: string | undefined;
  /** User and system time of the server process per request. */
  readonly serverCpuUs: number;
  /** User and system time of this process per request. */
  readonly loadCpuUs: number;
}

/** Linux counts the time of a process in ticks of this length, on every architecture Node runs on. */
const TICK_US = 10_000;
/** No run comes near this. */
const AT_MOST_SECONDS = 600;

interface Cpu {
  readonly atNs: bigint;
  readonly serverUs: number;
  readonly loadUs: number;
}

function cpuNow(serverPid: number): Cpu {
  // The command in parentheses may hold blanks: fields are counted behind it. utime is field 14, stime 15.
  const fields = readFileSync(`/proc/${serverPid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  const own = process.cpuUsage();
  const serverUs = (Number(fields[11]) + Number(fields[12])) * TICK_US;
  return { atNs: process.hrtime.bigint(), serverUs, loadUs: own.user + own.system };
}

function percentile(sorted: Float64Array, fraction: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * fraction))] ?? NaN;
}

/** Connection i of n has requests i, i + n, …: together they go round all, and never in step on the same one. */
function dealer(load: Load): (client: Client) => void {
  const bodyHeaders = { ...load.headers, 'content-type': 'application/json' };
  let next = 0;
  return (client) => {
    const turn = next++ % load.requests.length;
    const share = load.requests.filter((_, i) => i % Math.min(load.connections, load.requests.length) === turn);
    client.setRequests(share.map((r) => ({ ...r, headers: r.body === undefined ? load.headers : bodyHeaders })));
  };
}

/** Runs one load to its end. */
async function run(load: Load): Promise<Measurement> {
  const durations: number[] = [];
  let failures = 0;
  let failure: string | undefined;
  let before: Cpu | undefined;
  let after: Cpu | undefined;
  const whole = load.amount === undefined ? { duration: AT_MOST_SECONDS } : { amount: load.amount };
  const { url, connections } = load;
  const run = autocannon({
    url,
    connections,
    pipelining: 1,
    sampleInt: 50,
    timeout: 10,
    setupClient: dealer(load),
    ...whole,
  });
  run.on('response', (_client, status, _bytes, durationMs) => {
    if (status < 200 || status > 299) {
      failures += 1;
      failure ??= `status ${status}`;
    }
    if (before && !after) durations.push(durationMs);
  });
  const begin = () => (before = cpuNow(load.serverPid));
  const end = () => {
    after = cpuNow(load.serverPid);
    run.stop();
  };
  if (load.amount === undefined) {
    setTimeout(begin, load.warmUpMs);
    setTimeout(end, load.warmUpMs + load.measureMs);
  } else {
    begin();
  }
  const result = await run;
  after ??= cpuNow(load.serverPid);
  const unanswered = result.errors + result.timeouts;
  if (unanswered > 0) failure ??= `${unanswered} without an answer`;
  return measurement(durations, before!, after, failures + unanswered, failure);
}

function measurement(
  durations: number[],
  before: Cpu,
  after: Cpu,
  failures: number,
  failure: string | undefined,
): Measurement {
  const sorted = Float64Array.from(durations).sort();
  const requests = sorted.length;
  return {
    requests,
    perSecond: requests / (Number(after.atNs - before.atNs) / 1e9),
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
    failures,
    failure,
    serverCpuUs: (after.serverUs - before.serverUs) / requests,
    loadCpuUs: (after.loadUs - before.loadUs) / requests,
  };
}

process.on('message', (load: Load) => {
  run(load).then(
    (measured) => process.send!(measured),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
});
// Ctrl-C reaches the whole process group; the harness decides when this one ends.
process.on('SIGINT', () => undefined);
process.on('disconnect', () => process.exit(0));
