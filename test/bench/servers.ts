/** Starts what a benchmark measures: one PostgreSQL for all, a database and a process for each server. */
import { fork, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { startEmbeddedPostgres } from '#libs/database';
import { freePort } from '../support/free-port.js';
import type { Load, Measurement } from './load.js';
import { createReferenceTables } from './references.js';

/** A server under measurement. */
export interface Server {
  readonly url: string;
  readonly pid: number;
  readonly databaseUrl: string;
  stop(): Promise<void>;
}

/** Everything that was started; `stop` ends it, in the reverse order. */
export class Bench {
  private readonly stops: (() => Promise<void>)[] = [];
  private readonly directory = mkdtempSync(join(tmpdir(), 'chatapi-bench-'));
  private adminUrl = '';
  private subjects = 0;
  /** The database of the newest {@link subject}. */
  subjectUrl = '';

  async start(): Promise<void> {
    const postgres = await startEmbeddedPostgres({ dataDir: join(this.directory, 'data') });
    this.stops.push(() => postgres.stop());
    this.adminUrl = postgres.url;
  }

  async stop(): Promise<void> {
    for (const stop of this.stops.reverse()) await stop().catch(() => undefined);
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Our server, as built, on a database of its own, with its limits on and high. */
  async subject(env: Record<string, string> = {}, execArgv: string[] = []): Promise<Server & { child: ChildProcess }> {
    const port = await freePort();
    const databaseUrl = await this.database(`subject_${++this.subjects}`);
    const limit = '100000000/3600';
    this.subjectUrl = databaseUrl;
    const child = fork('dist/apps/api/src/main.js', {
      execArgv,
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: {
        ...process.env,
        PORT: String(port),
        HOST: '127.0.0.1',
        DATABASE_URL: databaseUrl,
        DATA_DIR: join(this.directory, 'subject'),
        LOG_LEVEL: 'warn',
        NODE_ENV: 'development',
        RATE_LIMIT_MESSAGES: limit,
        RATE_LIMIT_DEFAULT: limit,
        RATE_LIMIT_AUTHENTICATION: limit,
        ...env,
      },
    });
    const url = `http://127.0.0.1:${port}`;
    await until(async () => (await fetch(`${url}/health/ready`)).ok);
    return { ...this.track(child, url, databaseUrl), child };
  }

  /** A reference server with a pool of the given size. */
  async reference(
    file: 'reference-r1' | 'reference-r2' | 'reference-notifications',
    poolSize: number,
  ): Promise<Server> {
    const port = await freePort();
    const databaseUrl = await this.database(`${file.replaceAll('-', '_')}_${poolSize}`);
    await createReferenceTables(databaseUrl);
    const child = fork(new URL(`./${file}.js`, import.meta.url), {
      env: { ...process.env, PORT: String(port), DATABASE_URL: databaseUrl, POOL_SIZE: String(poolSize) },
    });
    await new Promise((resolve, reject) => child.once('message', resolve).once('exit', reject));
    return this.track(child, `http://127.0.0.1:${port}`, databaseUrl);
  }

  /** Something else to end. */
  onStop(stop: () => unknown): void {
    this.stops.push(async () => void (await stop()));
  }

  /** The load generator in a process of its own. */
  loader(): (load: Load) => Promise<Measurement> {
    const child = fork(new URL('./load.js', import.meta.url));
    this.track(child, '');
    return (load) =>
      new Promise((resolve, reject) => {
        child.once('message', (measured) => resolve(measured as Measurement)).once('exit', reject);
        child.send(load);
      });
  }

  private track(child: ChildProcess, url: string, databaseUrl = ''): Server {
    const stop = async (): Promise<void> => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await gone;
    };
    this.stops.push(stop);
    return { url, pid: child.pid!, databaseUrl, stop };
  }

  /** An empty database of that name. */
  async database(name: string): Promise<string> {
    const admin = new pg.Client({ connectionString: this.adminUrl });
    await admin.connect();
    await admin.query(`CREATE DATABASE bench_${name}`);
    await admin.end();
    return this.adminUrl.replace('/chatapi?', `/bench_${name}?`).replace(/\/chatapi$/, `/bench_${name}`);
  }
}

async function until(ready: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    if (await ready().catch(() => false)) return;
    await delay(100);
  }
  throw new Error('The server did not become ready within 30 s.');
}
