import assert from 'node:assert/strict';
import type { Database } from '#libs/database';
import type { Relayed } from '../../libs/webhooks/src/event-relay.repository.js';
import { startApi, aTenant, type Reply, type TestApi, type TestTenant } from './api.js';
import { until } from './concurrency.js';
import { anOwnDatabase } from './own-database.js';
import { Receiver } from './receiver.js';

/** An endpoint of a tenant. */
export interface TestWebhook {
  id: string;
  secret: string;
}

/** A target that may be registered without a name being resolved, and that nobody answers at. */
export const PUBLIC_URL = 'https://93.184.215.14/events';

/** Creates an endpoint; it hears of everything unless the fields say otherwise. */
export async function aWebhook(tenant: TestTenant, fields: Record<string, unknown> = {}): Promise<TestWebhook> {
  const body = { url: PUBLIC_URL, events: ['*'], ...fields };
  const reply = await tenant.api.call('POST', '/webhooks', { key: tenant.key, body });
  assert.equal(reply.status, 201, reply.text);
  return { id: reply.body.data.id, secret: reply.body.data.secret };
}

/** Queues a test delivery; answers its id. */
export async function aTestDelivery(tenant: TestTenant, webhookId: string): Promise<string> {
  const reply = await tenant.api.call('POST', `/webhooks/${webhookId}/test`, { key: tenant.key, body: {} });
  assert.equal(reply.status, 201, reply.text);
  return reply.body.data.id;
}

/** Facts that wait for the relay, as of changes to nothing in particular. */
export async function someFacts(database: Database, clientId: string, amount: number): Promise<void> {
  await database.query(
    `INSERT INTO events (client_id, id, event, data, created_at)
     SELECT $1, gen_random_uuid(), 'user.created', '{}', now() FROM generate_series(1, $2)`,
    [clientId, amount],
  );
}

/** What a pass of the relay came to, in numbers. */
export function inNumbers({ taken, added, leased }: Relayed): { taken: number; added: number; leased: number } {
  return { taken, added, leased: leased.length };
}

/** The application with its jobs on a database of its own, a receiver it may reach, and a tenant. */
export interface WebhookStage {
  api: TestApi;
  receiver: Receiver;
  tenant: TestTenant;
  /** One call as the tenant, which has to succeed. */
  ask(method: string, path: string, body?: unknown): Promise<Reply>;
  /** A delivery with its attempts. */
  delivery(webhookId: string, deliveryId: string): Promise<Reply['body']>;
  /** Waits until the delivery stands there; answers it. */
  settled(webhookId: string, deliveryId: string, status: string): Promise<Reply['body']>;
  stop(): Promise<void>;
}

/** Sets the stage; the schedule is a second per step unless told otherwise. */
export async function aWebhookStage(env: Record<string, string> = {}): Promise<WebhookStage> {
  const database = await anOwnDatabase();
  const receiver = await Receiver.start();
  const settings = { JOBS: 'on', EGRESS_ALLOWED_CIDRS: '127.0.0.0/8', WEBHOOK_RETRY_SCHEDULE: '1,1,1', ...env };
  const api = await startApi(settings, database.url);
  const tenant = await aTenant(api);
  const ask = async (method: string, path: string, body?: unknown): Promise<Reply> => {
    const reply = await api.call(method, path, { key: tenant.key, body });
    assert.ok(reply.status < 300, `${method} ${path}: ${reply.text}`);
    return reply;
  };
  const delivery = async (webhookId: string, deliveryId: string) =>
    (await ask('GET', `/webhooks/${webhookId}/deliveries/${deliveryId}`)).body.data;
  return {
    api,
    receiver,
    tenant,
    ask,
    delivery,
    settled: async (webhookId, deliveryId, status) => {
      let last: Reply['body'];
      await until(`the delivery is ${status}`, async () => {
        last = await delivery(webhookId, deliveryId);
        return last.status === status;
      });
      return last;
    },
    stop: async () => {
      await receiver.stop();
      await api.stop();
      await database.drop();
    },
  };
}
