/** Starts and stops the processes of a benchmark: servers, load generator, database. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';
import type { Load, Measurement } from './load.js';

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 10_000;

/** A server under load. */
export interface Server {
  readonly url: string;
  readonly process: ChildProcess;
}

const children = new Set<ChildProcess>();

function start(file: string, env: NodeJS.ProcessEnv): ChildProcess {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), [], {
    env: { ...process.env, ...env },
    // Standard output is the harness's table: a server's lines go to standard error. A group of its own keeps Ctrl-C away.
    stdio: ['ignore', 2, 2, 'ipc'],
    detached: true,
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('No free port.');
  return address.port;
}

/** Starts a server, with PORT chosen for it, and waits until it answers; `file` is relative to this one. */
export async function startServer(file: string, env: NodeJS.ProcessEnv): Promise<Server> {
  const port = await freePort();
  const child = start(file, { ...env, PORT: String(port), HOST: '127.0.0.1', NODE_ENV: 'development' });
  const url = `http://127.0.0.1:${port}`;
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${file} ended before it listened.`);
    const answer = await fetch(`${url}/`).catch(() => undefined);
    await answer?.arrayBuffer();
    if (answer) return { url, process: child };
    await delay(50);
  }
  throw new Error(`${file} did not listen within ${START_TIMEOUT_MS} ms.`);
}

/** Ends one child: by SIGTERM, then by force. */
export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(force);
}

/** Ends every child. */
export async function stopAll(): Promise<void> {
  await Promise.all([...children].map(stop));
}

/** The load generator's process. */
export class LoadGenerator {
  private readonly child = start('./load.js', {});

  /** Runs one load and waits for what it measured. */
  async run(load: Load): Promise<Measurement> {
    const ended = new AbortController();
    const answer = once(this.child, 'message', { signal: ended.signal });
    const onExit = () => ended.abort(new Error('The load generator ended.'));
    this.child.once('exit', onExit);
    this.child.send(load);
    const [measured] = (await answer) as [Measurement];
    this.child.off('exit', onExit);
    return measured;
  }
}
