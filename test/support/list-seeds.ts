import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { newId } from '#libs/common';
import { SecretBox } from '#libs/security';
import { aMessage, aNotification, aRoom, aTenant, aUser, type TestApi } from './api.js';
import { aTestDelivery, aWebhook } from './webhooks.js';

/** Rows of one list, in a tenant of their own. */
export interface SeededList {
  /** The list's path with its ids filled in. */
  path: string;
  key: string;
  /** Reads a row's identity. */
  idOf(row: Record<string, unknown>): string;
  /** The field the list's `created_at` is shown as. */
  createdField: string;
  /** Adds one row. */
  insert(): Promise<void>;
  /** Gives every row the same creation time, so that only the id decides the order. */
  tie(at: string): Promise<void>;
}

type Seed = (api: TestApi) => Promise<SeededList>;

const byId = (row: Record<string, unknown>): string => row['id'] as string;

async function rooms(api: TestApi, path: string): Promise<SeededList> {
  const tenant = await aTenant(api);
  const owner = await aUser(tenant);
  return {
    path,
    key: tenant.key,
    idOf: byId,
    createdField: 'created_at',
    insert: async () => void (await aRoom(tenant, owner, { name: `Room ${randomUUID()}` })),
    tie: async (at) =>
      void (await api.database.query('UPDATE rooms SET created_at = $2 WHERE client_id = $1', [tenant.id, at])),
  };
}

/** Fills each list; a list without an entry here fails the shared suite. Names are those of the OpenAPI document. */
export const LIST_SEEDS: Record<string, Seed> = {
  'GET /clients/me/keys': async (api) => {
    const tenant = await aTenant(api);
    return {
      path: '/clients/me/keys',
      key: tenant.key,
      idOf: byId,
      createdField: 'created_at',
      insert: async () => {
        const reply = await api.call('POST', '/clients/me/keys', { key: tenant.key, body: { scopes: ['users:read'] } });
        assert.equal(reply.status, 201, reply.text);
      },
      tie: async (at) =>
        void (await api.database.query('UPDATE api_keys SET created_at = $2 WHERE client_id = $1', [tenant.id, at])),
    };
  },
  'GET /clients/email-providers': async (api) => {
    const tenant = await aTenant(api);
    const config = api.app.get(SecretBox).seal(JSON.stringify({ provider_type: 'smtp', password: 'planted-secret' }));
    let inserted = 0;
    return {
      path: '/clients/email-providers',
      key: tenant.key,
      idOf: byId,
      createdField: 'created_at',
      // There are fewer kinds than the suite wants rows.
      insert: async () =>
        void (await api.database.query(
          `INSERT INTO email_providers (client_id, provider_type, id, config, is_primary, is_bulk, default_from_email,
             created_at, updated_at) VALUES ($1, $2, $3, $4, false, false, 'a@example.com', now(), now())`,
          [tenant.id, `kind-${++inserted}`, newId(), config],
        )),
      tie: async (at) =>
        void (await api.database.query('UPDATE email_providers SET created_at = $2 WHERE client_id = $1', [
          tenant.id,
          at,
        ])),
    };
  },
  'GET /users': async (api) => {
    const tenant = await aTenant(api);
    return {
      path: '/users',
      key: tenant.key,
      idOf: byId,
      createdField: 'created_at',
      insert: async () => void (await aUser(tenant)),
      tie: async (at) =>
        void (await api.database.query('UPDATE users SET created_at = $2 WHERE client_id = $1', [tenant.id, at])),
    };
  },
  'GET /rooms': (api) => rooms(api, '/rooms'),
  'GET /rooms/all': (api) => rooms(api, '/rooms/all'),
  'GET /rooms/{room_id}/members': async (api) => {
    const tenant = await aTenant(api);
    const room = await aRoom(tenant, await aUser(tenant));
    return {
      path: `/rooms/${room}/members`,
      key: tenant.key,
      idOf: (row) => row['user_id'] as string,
      createdField: 'joined_at',
      insert: async () => {
        const user = await aUser(tenant);
        const reply = await api.call('POST', `/rooms/${room}/join`, { key: user.key });
        assert.equal(reply.status, 201, reply.text);
      },
      tie: async (at) =>
        void (await api.database.query('UPDATE room_members SET joined_at = $2 WHERE client_id = $1', [tenant.id, at])),
    };
  },
  'GET /messages': async (api) => {
    const tenant = await aTenant(api);
    const user = await aUser(tenant);
    const room = await aRoom(tenant, user);
    return {
      path: '/messages',
      key: tenant.key,
      idOf: byId,
      createdField: 'created_at',
      insert: async () => void (await aMessage(tenant, user, room)),
      tie: async (at) =>
        void (await api.database.query('UPDATE messages SET created_at = $2 WHERE client_id = $1', [tenant.id, at])),
    };
  },
  'GET /notifications': async (api) => {
    const tenant = await aTenant(api);
    return {
      path: '/notifications',
      key: tenant.key,
      idOf: byId,
      createdField: 'created_at',
      insert: async () => void (await aNotification(tenant)),
      tie: async (at) =>
        void (await api.database.query('UPDATE notifications SET created_at = $2 WHERE client_id = $1', [
          tenant.id,
          at,
        ])),
    };
  },
  'GET /webhooks': async (api) => {
    const tenant = await aTenant(api);
    return {
      path: '/webhooks',
      key: tenant.key,
      idOf: byId,
      createdField: 'created_at',
      insert: async () => void (await aWebhook(tenant)),
      tie: async (at) =>
        void (await api.database.query('UPDATE webhook_endpoints SET created_at = $2 WHERE client_id = $1', [
          tenant.id,
          at,
        ])),
    };
  },
  'GET /users/me/notifications': async (api) => {
    const tenant = await aTenant(api);
    const user = await aUser(tenant);
    return {
      path: '/users/me/notifications',
      key: user.key,
      idOf: byId,
      createdField: 'created_at',
      // As the delivery does it, which runs in no process of these tests.
      insert: async () => {
        const { id } = await aNotification(tenant, { type: 'websocket', user_ids: [user.id], content: 'hello' });
        await api.database.query(
          `INSERT INTO notification_inbox (client_id, user_id, notification_id, created_at)
           SELECT client_id, $2, id, created_at FROM notifications WHERE client_id = $1 AND id = $3`,
          [tenant.id, user.id, id],
        );
      },
      tie: async (at) =>
        void (await api.database.query('UPDATE notification_inbox SET created_at = $2 WHERE client_id = $1', [
          tenant.id,
          at,
        ])),
    };
  },
  'GET /webhooks/{webhook_id}/deliveries': async (api) => {
    const tenant = await aTenant(api);
    const { id } = await aWebhook(tenant);
    return {
      path: `/webhooks/${id}/deliveries`,
      key: tenant.key,
      idOf: byId,
      createdField: 'created_at',
      insert: async () => void (await aTestDelivery(tenant, id)),
      tie: async (at) =>
        void (await api.database.query('UPDATE deliveries SET created_at = $2 WHERE client_id = $1', [tenant.id, at])),
    };
  },
};
