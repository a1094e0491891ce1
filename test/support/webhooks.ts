import assert from 'node:assert/strict';
import type { TestTenant } from './api.js';

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
