import 'reflect-metadata';
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from 'pino';
import { readConfig } from '#libs/config';
import { Database } from '#libs/database';
import { createLogger } from '#libs/observability';
import { createApp } from '../../apps/api/src/create-app.js';

/** What a call answered. */
export interface Reply {
  status: number;
  headers: Headers;
  text: string;
  // Tests look into bodies of every shape.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  body: any;
}

/** How a call is made. */
export interface CallOptions {
  key?: string;
  body?: unknown;
  headers?: Record<string, string>;
  /** Sent as it is, instead of `body`. */
  raw?: string | Buffer;
}

/** The application in this process, on the test run's PostgreSQL, listening on a free port. */
export interface TestApi {
  url: string;
  app: NestFastifyApplication;
  database: Database;
  call(method: string, path: string, options?: CallOptions): Promise<Reply>;
  stop(): Promise<void>;
}

/** The database of the test run. */
export function testDatabaseUrl(): string {
  const url = process.env['TEST_DATABASE_URL'];
  assert(url, 'TEST_DATABASE_URL is set by dist/test/run.js');
  return url;
}

/** Starts the application; limits are off unless the environment given says otherwise. */
export async function startApi(
  env: Record<string, string> = {},
  databaseUrl = testDatabaseUrl(),
  logger?: Logger,
): Promise<TestApi> {
  const dataDir = mkdtempSync(join(tmpdir(), 'chatapi-test-'));
  const off = {
    RATE_LIMIT_AUTHENTICATION: 'off',
    RATE_LIMIT_MESSAGES: 'off',
    RATE_LIMIT_NOTIFICATIONS: 'off',
    RATE_LIMIT_DEFAULT: 'off',
  };
  const config = readConfig({ DATA_DIR: dataDir, LOG_LEVEL: 'silent', JOBS: 'off', ...off, ...env });
  const database = new Database(databaseUrl, { onError: () => undefined });
  const app = await createApp(config, database, logger ?? createLogger(config.logLevel));
  await app.listen({ port: 0, host: '127.0.0.1' });
  const url = (await app.getUrl()).replace('localhost', '127.0.0.1');
  return {
    url,
    app,
    database,
    call: (method, path, options) => call(`${url}/api/v1${path}`, method, options),
    stop: async () => {
      await app.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** One HTTP call, with the body parsed when it is JSON. */
export async function call(url: string, method: string, options: CallOptions = {}): Promise<Reply> {
  const headers: Record<string, string> = { ...options.headers };
  if (options.key) headers['authorization'] ??= `Bearer ${options.key}`;
  const sent = options.raw ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
  if (sent !== undefined) headers['content-type'] ??= 'application/json';
  const response = await fetch(url, { method, headers, body: sent as string | undefined });
  const text = await response.text();
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    body = undefined;
  }
  return { status: response.status, headers: response.headers, text, body };
}

/** A tenant of its own, so that tests share a database without knowing of one another. */
export interface TestTenant {
  api: TestApi;
  id: string;
  name: string;
  /** The master key. */
  key: string;
}

/** A user of a tenant. */
export interface TestUser {
  id: string;
  key: string;
  email: string;
  username: string;
}

/** Registers a tenant. */
export async function aTenant(api: TestApi): Promise<TestTenant> {
  const name = `Tenant ${randomUUID()}`;
  const reply = await api.call('POST', '/clients', { body: { name } });
  assert.equal(reply.status, 201, reply.text);
  return { api, id: reply.body.data.id, name, key: reply.body.data.master_api_key };
}

/** Creates a user. */
export async function aUser(tenant: TestTenant, fields: Record<string, unknown> = {}): Promise<TestUser> {
  const username = `u-${randomUUID()}`;
  const body = { email: `${username}@example.com`, username, ...fields };
  const reply = await tenant.api.call('POST', '/users', { key: tenant.key, body });
  assert.equal(reply.status, 201, reply.text);
  return { id: reply.body.data.id, key: reply.body.data.scoped_api_key, email: body.email, username: body.username };
}

/** Creates a room owned by a user; answers its id. */
export async function aRoom(
  tenant: TestTenant,
  owner: TestUser,
  fields: Record<string, unknown> = {},
): Promise<string> {
  const reply = await tenant.api.call('POST', '/rooms', { key: owner.key, body: { name: 'A room', ...fields } });
  assert.equal(reply.status, 201, reply.text);
  return reply.body.data.id;
}

/** Sends a message; answers it. */
export async function aMessage(tenant: TestTenant, sender: TestUser, roomId: string, content = 'hello') {
  const reply = await tenant.api.call('POST', '/messages', { key: sender.key, body: { room_id: roomId, content } });
  assert.equal(reply.status, 201, reply.text);
  return reply.body.data;
}

/** The least a notification of a type needs. */
const LEAST = { type: 'email', to_email: 'user@example.com', subject: 'Welcome!', content: '<h1>Welcome</h1>' };

/** Creates a notification, an e-mail unless its fields say otherwise; answers it. */
export async function aNotification(tenant: TestTenant, fields: Record<string, unknown> = {}) {
  const body = fields['type'] === undefined || fields['type'] === 'email' ? { ...LEAST, ...fields } : fields;
  const reply = await tenant.api.call('POST', '/notifications', { key: tenant.key, body });
  assert.equal(reply.status, 201, reply.text);
  return reply.body.data;
}
