import assert from 'node:assert/strict';
import { startChild, type Child } from './child.js';
import { until } from './concurrency.js';
import { freePort } from './free-port.js';

/** What a process is started with; who makes the data directory removes it. */
export type ApiEnv = Record<string, string> & { DATA_DIR: string };

/** The built API as a process of its own, which can be ended and started again at the same address with the same data. */
export class ApiProcess {
  private child: Child | undefined;

  private constructor(
    readonly url: string,
    private readonly env: ApiEnv,
  ) {}

  /** One with a free port, not started yet. */
  static async make(env: ApiEnv): Promise<ApiProcess> {
    const port = await freePort();
    return new ApiProcess(`http://127.0.0.1:${port}`, { LOG_LEVEL: 'error', ...env, PORT: `${port}` });
  }

  /** Starts it, and resolves when it serves. */
  async start(): Promise<void> {
    this.launch();
    await this.ready();
  }

  /** Starts it and leaves it to itself. */
  launch(): void {
    assert.equal(this.child, undefined, 'it is running');
    this.child = startChild('apps/api/src/main.js', this.env);
  }

  /** Resolves when it serves; fails when it has ended by itself. */
  async ready(): Promise<void> {
    const { process, output } = this.child!;
    await until('the process serves', async () => {
      assert.equal(process.exitCode, null, output());
      return (await fetch(`${this.url}/health/live`).catch(() => undefined))?.status === 200;
    });
  }

  /** Ends it as a power cut would, if it is running. */
  async kill(): Promise<void> {
    const { child } = this;
    this.child = undefined;
    await child?.kill();
  }

  /** Ends it in peace, if it is running; fails when it does not exit with 0. */
  async stop(): Promise<void> {
    const { child } = this;
    this.child = undefined;
    child?.process.kill('SIGTERM');
    if (child) assert.equal(await child.exit, 0, child.output());
  }
}
