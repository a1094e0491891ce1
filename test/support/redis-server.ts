import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from './free-port.js';

const START_TIMEOUT_MS = 10_000;

/** A running Redis of our own. */
export interface RedisServer {
  readonly url: string;
  /** Ends it and removes its directory. */
  stop(): Promise<void>;
}

/** Starts Redis on a loopback port, a free one by default, without persistence; undefined where it is not installed. */
export async function startRedisServer(onPort?: number): Promise<RedisServer | undefined> {
  const binary = onPath('redis-server');
  if (!binary) return undefined;
  const port = onPort ?? (await freePort());
  const directory = mkdtempSync(join(tmpdir(), 'chatapi-redis-'));
  const settings = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  const server = spawn(binary, [...settings, '--dir', directory], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<void>((resolve) => server.once('close', () => resolve()));
  const stop = async () => {
    server.kill('SIGTERM');
    await ended;
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    await ready(server, ended);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: `redis://127.0.0.1:${port}`, stop };
}

async function ready(server: ChildProcess, ended: Promise<void>): Promise<void> {
  let output = '';
  const timer = new AbortController();
  const outcome = await Promise.race([
    new Promise<string>((resolve) => {
      server.stdout?.setEncoding('utf8').on('data', (text: string) => {
        output += text;
        if (output.includes('Ready to accept connections')) resolve('ready');
      });
    }),
    ended.then(() => 'ended'),
    delay(START_TIMEOUT_MS, 'timed out', { signal: timer.signal }).catch(() => 'timed out'),
  ]);
  timer.abort();
  if (outcome !== 'ready') throw new Error(`redis-server did not start (${outcome}):\n${output}`);
}

function onPath(name: string): string | undefined {
  const candidates = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, name));
  return candidates.find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
