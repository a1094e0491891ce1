import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { until } from './concurrency.js';
import { freePort } from './free-port.js';

const MAIN = resolve('dist/apps/api/src/main.js');

/** The built API in a process of its own, which can be killed and started again at the same address. */
export class ApiProcess {
  private child: ChildProcess | undefined;
  private output = '';
  private readonly directory = mkdtempSync(join(tmpdir(), 'chatapi-process-'));

  private constructor(
    readonly url: string,
    private readonly env: Record<string, string>,
  ) {}

  /** Starts one on a free port. */
  static async start(env: Record<string, string>): Promise<ApiProcess> {
    const port = await freePort();
    const made = new ApiProcess(`http://127.0.0.1:${port}`, { ...env, PORT: `${port}` });
    await made.start();
    return made;
  }

  async start(): Promise<void> {
    const { PATH = '', HOME = '' } = process.env;
    const env = { PATH, HOME, HOST: '127.0.0.1', LOG_LEVEL: 'silent', DATA_DIR: this.directory, ...this.env };
    const child = spawn(process.execPath, [MAIN], { env, cwd: this.directory, stdio: ['ignore', 'pipe', 'pipe'] });
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (part) => (this.output += part));
    await until('the process is ready', async () => {
      assert.equal(child.exitCode, null, this.output);
      return (await fetch(`${this.url}/health/live`).catch(() => undefined))?.status === 200;
    });
  }

  /** As a crash would: nothing is said to anybody. */
  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  async stop(): Promise<void> {
    await this.end('SIGTERM');
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
  }

  private async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const closed = once(child, 'close');
    child.kill(signal);
    await closed;
  }
}
