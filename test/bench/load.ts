/**
 * The load generator: a process of its own, so that what it costs is never booked on the harness or a server.
 * It takes one {@link Load} at a time by IPC and answers with its {@link Measurement}.
 */
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

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
  /** Answers other than 2xx, the warm-up's included; a connection that breaks ends the run. */
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
/** Longest an answer may take. */
const TIMEOUT_MS = 10_000;
const READ = Buffer.alloc(64 * 1024);

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

/** A request as it goes over the wire. */
function encode({ url, headers }: Load, { method, path, body }: LoadRequest): Buffer {
  const lines = [`${method} ${path} HTTP/1.1`, `host: ${new URL(url).host}`];
  for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
  if (body !== undefined) lines.push('content-type: application/json', `content-length: ${Buffer.byteLength(body)}`);
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body ?? ''}`);
}

/** Counts down the bytes of answers with a known length, which is what all the servers give; knows their status. */
class AnswerReader {
  private left = 0;
  status = 0;

  /** Whether the answer ends with this chunk. */
  take(size: number): boolean {
    if (this.left === 0) {
      const head = READ.toString('latin1', 0, Math.min(size, 4096));
      const length = /\r\ncontent-length: (\d+)\r\n/i.exec(head);
      const end = head.indexOf('\r\n\r\n');
      if (!length || end < 0) throw new Error(`An answer of unknown length: ${head.slice(0, 200)}`);
      this.status = Number(head.slice(9, 12));
      this.left = end + 4 + Number(length[1]);
    }
    this.left -= size;
    return this.left === 0;
  }
}

/** What all connections of a run report to. */
interface Run {
  readonly load: Load;
  readonly requests: readonly Buffer[];
  /** What is left of the amount. */
  left: number;
  stopped: boolean;
  answered(status: number, durationMs: number): void;
}

/**
 * Connection i of n sends requests i, i + n, …, one at a time: together they go round all, and never in step on the same
 * one. Resolves when the run has stopped and the last answer is there. Written on the socket, for a client that parses
 * costs half as much as the servers it is to measure.
 */
function lane(run: Run, index: number): Promise<void> {
  const { hostname, port } = new URL(run.load.url);
  const answer = new AnswerReader();
  let at = index % run.requests.length;
  let sentAt = 0;
  return new Promise((resolve, reject) => {
    const onread = {
      buffer: READ,
      callback: (size: number) => {
        if (!answer.take(size)) return true;
        run.answered(answer.status, performance.now() - sentAt);
        next();
        return true;
      },
    };
    const socket = connect({ host: hostname, port: Number(port), noDelay: true, onread });
    const next = (): void => {
      if (run.stopped || run.left-- <= 0) return void socket.end();
      sentAt = performance.now();
      socket.write(run.requests[at]!);
      at = (at + run.load.connections) % run.requests.length;
    };
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error('No answer in time')));
    socket
      .once('connect', next)
      .once('error', reject)
      .once('close', () => {
        if (run.stopped || run.left <= 0) resolve();
        else reject(new Error('The server closed a connection'));
      });
  });
}

/** Runs one load to its end. */
async function run(load: Load): Promise<Measurement> {
  const durations: number[] = [];
  let failures = 0;
  let failure: string | undefined;
  let before: Cpu | undefined;
  let after: Cpu | undefined;
  const current: Run = {
    load,
    requests: load.requests.map((request) => encode(load, request)),
    left: load.amount ?? Infinity,
    stopped: false,
    answered: (status, durationMs) => {
      if (status < 200 || status > 299) {
        failures += 1;
        failure ??= `status ${status}`;
      }
      if (before && !after) durations.push(durationMs);
    },
  };
  const lanes = Promise.all(Array.from({ length: load.connections }, (_, index) => lane(current, index)));
  if (load.amount === undefined) {
    await Promise.race([lanes, delay(load.warmUpMs)]);
    before = cpuNow(load.serverPid);
    await Promise.race([lanes, delay(load.measureMs)]);
    after = cpuNow(load.serverPid);
    current.stopped = true;
  } else {
    before = cpuNow(load.serverPid);
  }
  await lanes;
  after ??= cpuNow(load.serverPid);
  return measurement(durations, before, after, failures, failure);
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
