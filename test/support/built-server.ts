import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { until } from './concurrency.js';

const MAIN = resolve('dist/apps/api/src/main.js');

/** The built server as a process of its own. */
export class BuiltServer {
  readonly url: string;
  private readonly child: ChildProcess;
  private readonly exit: Promise<unknown>;
  private output = '';

  constructor(port: number, env: Record<string, string>) {
    const { PATH = '', HOME = '' } = process.env;
    this.url = `http://127.0.0.1:${port}`;
    this.child = spawn(process.execPath, [MAIN], {
      env: { PATH, HOME, LOG_LEVEL: 'error', HOST: '127.0.0.1', PORT: String(port), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      stream.on('data', (part) => (this.output = (this.output + part).slice(-20_000)));
    }
    this.exit = once(this.child, 'close');
  }

  /** Resolves when it serves. */
  async ready(): Promise<void> {
    await until('the server is ready', async () => {
      assert.equal(this.child.exitCode, null, this.output);
      return (await fetch(`${this.url}/health/live`).catch(() => undefined))?.status === 200;
    });
  }

  /** Ends it as a power cut would. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exit;
  }

  /** Ends it in peace; fails when it does not exit with 0. */
  async stop(): Promise<void> {
    this.child.kill('SIGTERM');
    await this.exit;
    assert.equal(this.child.exitCode, 0, this.output);
  }
}
