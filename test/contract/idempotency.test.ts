import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { aRoom, aTenant, aUser, startApi, type Reply, type TestApi } from '../support/api.js';
import { creatorsOf } from '../support/document.js';
import { assertError } from '../support/errors.js';
import { aWebhook, PUBLIC_URL } from '../support/webhooks.js';

/** How one creating POST is asked, and what counts its creations. */
interface Case {
  path: string;
  key?: string;
  body: object;
  /** A valid body that differs. */
  other: object;
  /** A body that is refused after the request was admitted. */
  refused: object;
  /** Rows there are now of what the request creates. */
  count(): Promise<number>;
  /** Shows that a repeat of the whole answer, secrets included, is not kept in the clear. */
  secret?: (reply: Reply) => string;
}

const person = () => ({ email: `${randomUUID()}@example.com`, username: randomUUID() });

const mail = (content: string) => ({ type: 'email', to_email: 'user@example.com', subject: 'Welcome!', content });

/** What each creating POST is asked with; one without an entry fails the suite. */
const CASES: Record<string, (api: TestApi) => Promise<Case>> = {
  'POST /clients': async (api) => {
    const name = `Tenant ${randomUUID()}`;
    return {
      path: '/clients',
      body: { name },
      other: { name, description: 'other' },
      refused: { name: '' },
      count: () => rows(api, 'clients WHERE name = $1', name),
      secret: (reply) => reply.body.data.master_api_key,
    };
  },
  'POST /clients/me/keys': async (api) => {
    const { id, key } = await aTenant(api);
    return {
      path: '/clients/me/keys',
      key,
      body: { scopes: ['users:read'] },
      other: { scopes: ['users:write'] },
      refused: { scopes: [] },
      count: () => rows(api, 'api_keys WHERE client_id = $1', id),
      secret: (reply) => reply.body.data.key,
    };
  },
  'POST /clients/me/keys/rotate': async (api) => {
    const { id, key } = await aTenant(api);
    return {
      path: '/clients/me/keys/rotate',
      key,
      body: { grace_seconds: 600 },
      other: { grace_seconds: 601 },
      refused: { grace_seconds: -1 },
      count: () => rows(api, 'api_keys WHERE client_id = $1', id),
      secret: (reply) => reply.body.data.key,
    };
  },
  'POST /users': async (api) => {
    const tenant = await aTenant(api);
    const taken = await aUser(tenant);
    return {
      path: '/users',
      key: tenant.key,
      body: person(),
      other: person(),
      refused: { ...person(), username: taken.username },
      count: () => rows(api, 'users WHERE client_id = $1', tenant.id),
      secret: (reply) => reply.body.data.scoped_api_key,
    };
  },
  'POST /rooms': async (api) => {
    const { id, key } = await aTenant(api);
    return {
      path: '/rooms',
      key,
      body: { name: 'One' },
      other: { name: 'Two' },
      refused: { name: 'One', member_ids: [randomUUID()] },
      count: () => rows(api, 'rooms WHERE client_id = $1', id),
    };
  },
  'POST /rooms/{room_id}/join': async (api) => {
    const tenant = await aTenant(api);
    const [owner, user, second] = [await aUser(tenant), await aUser(tenant), await aUser(tenant)];
    const room = await aRoom(tenant, owner);
    return {
      path: `/rooms/${room}/join`,
      key: tenant.key,
      body: { user_id: user.id },
      other: { user_id: second.id },
      refused: { user_id: randomUUID() },
      count: () => rows(api, 'room_members WHERE client_id = $1', tenant.id),
    };
  },
  'POST /rooms/{room_id}/members': async (api) => {
    const tenant = await aTenant(api);
    const [owner, user, second] = [await aUser(tenant), await aUser(tenant), await aUser(tenant)];
    const room = await aRoom(tenant, owner);
    return {
      path: `/rooms/${room}/members`,
      key: owner.key,
      body: { user_ids: [user.id] },
      other: { user_ids: [second.id] },
      refused: { user_ids: [user.id, randomUUID()] },
      count: () => rows(api, 'room_members WHERE client_id = $1', tenant.id),
    };
  },
  'POST /messages': async (api) => {
    const tenant = await aTenant(api);
    const user = await aUser(tenant);
    const room = await aRoom(tenant, user);
    return {
      path: '/messages',
      key: user.key,
      body: { room_id: room, content: 'one' },
      other: { room_id: room, content: 'two' },
      refused: { room_id: room, content: 'one', reply_to: randomUUID() },
      count: () => rows(api, 'messages WHERE client_id = $1', tenant.id),
    };
  },
  'POST /notifications': async (api) => {
    const { id, key } = await aTenant(api);
    return {
      path: '/notifications',
      key,
      body: mail('one'),
      other: mail('two'),
      refused: { type: 'websocket', content: 'one', user_ids: [randomUUID()] },
      count: () => rows(api, 'deliveries WHERE client_id = $1', id),
    };
  },
  'POST /notifications/batch': async (api) => {
    const { id, key } = await aTenant(api);
    return {
      path: '/notifications/batch',
      key,
      body: { notifications: [mail('one')] },
      other: { notifications: [mail('two')] },
      refused: { notifications: [mail('one'), { type: 'websocket', content: 'one', user_ids: [randomUUID()] }] },
      count: () => rows(api, 'notifications WHERE client_id = $1', id),
    };
  },
  'POST /webhooks': async (api) => {
    const { id, key } = await aTenant(api);
    const body = { url: PUBLIC_URL, events: ['message.*'] };
    return {
      path: '/webhooks',
      key,
      body,
      other: { ...body, events: ['*'] },
      refused: { ...body, room_ids: [randomUUID()] },
      count: () => rows(api, 'webhook_endpoints WHERE client_id = $1', id),
      secret: (reply) => reply.body.data.secret,
    };
  },
  'POST /webhooks/{webhook_id}/test': async (api) => {
    const tenant = await aTenant(api);
    const { id } = await aWebhook(tenant);
    return {
      path: `/webhooks/${id}/test`,
      key: tenant.key,
      body: {},
      other: { event: 'room.created' },
      refused: { event: 'room.painted' },
      count: () => rows(api, 'deliveries WHERE client_id = $1', tenant.id),
    };
  },
  'POST /webhooks/{webhook_id}/rotate-secret': async (api) => {
    const tenant = await aTenant(api);
    const { id } = await aWebhook(tenant);
    return {
      path: `/webhooks/${id}/rotate-secret`,
      key: tenant.key,
      body: { grace_seconds: 600 },
      other: { grace_seconds: 601 },
      refused: { grace_seconds: 86_401 },
      count: () => rows(api, 'webhook_endpoints WHERE client_id = $1 AND previous_secret IS NOT NULL', tenant.id),
      secret: (reply) => reply.body.data.secret,
    };
  },
};

async function rows(api: TestApi, from: string, ...params: unknown[]): Promise<number> {
  const [row] = await api.database.query<{ n: number }>(`SELECT count(*) AS n FROM ${from}`, params);
  return row!.n;
}

const document: unknown = JSON.parse(readFileSync('libs/contracts/openapi.json', 'utf8'));

describe('Every creating POST with an Idempotency-Key', () => {
  let api: TestApi;
  before(async () => {
    api = await startApi();
  });
  after(() => api.stop());

  for (const { name } of creatorsOf(document)) {
    describe(name, () => {
      const aCase = (): Promise<Case> => {
        const build = CASES[name];
        assert.ok(build, `${name} has no entry in CASES`);
        return build(api);
      };
      const ask = ({ path, key }: Case, idempotencyKey: string, body: object): Promise<Reply> =>
        api.call('POST', path, { key, body, headers: { 'idempotency-key': idempotencyKey } });

      it('answers a repeat with the first status and bytes', async () => {
        const one = await aCase();
        const before = await one.count();
        const idempotencyKey = `${'k'.repeat(219)}${randomUUID()}`;
        const first = await ask(one, idempotencyKey, one.body);
        assert.equal(first.status, 201, first.text);
        assert.equal(first.headers.get('idempotency-replayed'), null);
        const made = (await one.count()) - before;
        assert.equal(made, 1);
        for (let i = 0; i < 2; i++) {
          const again = await ask(one, idempotencyKey, one.body);
          assert.deepEqual([again.status, again.text], [first.status, first.text]);
          assert.equal(again.headers.get('idempotency-replayed'), 'true');
          assert.equal(again.headers.get('content-type'), first.headers.get('content-type'));
          assert.notEqual(again.headers.get('x-request-id'), first.headers.get('x-request-id'));
        }
        assert.equal((await one.count()) - before, 1);
        const reply = await ask(one, idempotencyKey, one.other);
        assertError(reply, 422, 'IDEMPOTENCY_KEY_REUSED');
        assert.equal((await one.count()) - before, 1);
        const secret = one.secret?.(first);
        if (secret !== undefined) {
          const stored = await rows(
            api,
            `idempotency_records WHERE position(convert_to($1, 'UTF8') in response) > 0`,
            secret,
          );
          assert.equal(stored, 0, 'the secret is stored in the clear');
        }
      });

      it('keeps keys apart', async () => {
        const one = await aCase();
        const first = await ask(one, randomUUID(), one.body);
        const second = await ask(one, randomUUID(), one.other);
        assert.deepEqual([first.status, second.headers.get('idempotency-replayed')], [201, null], second.text);
        assert.notEqual(first.text, second.text);
      });

      it('100 at once create once; the others replay it or are told to wait', async () => {
        const one = await aCase();
        const before = await one.count();
        const idempotencyKey = randomUUID();
        const replies = await Promise.all(Array.from({ length: 100 }, () => ask(one, idempotencyKey, one.body)));
        const made = replies.filter((reply) => reply.status === 201 && !reply.headers.has('idempotency-replayed'));
        assert.equal(made.length, 1);
        assert.equal((await one.count()) - before, 1);
        for (const reply of replies) {
          if (reply === made[0]) continue;
          if (reply.status === 409) {
            assertError(reply, 409, 'IDEMPOTENCY_IN_PROGRESS');
            assert.equal(reply.headers.get('retry-after'), '1');
          } else {
            assert.deepEqual([reply.status, reply.text], [201, made[0]!.text]);
            assert.equal(reply.headers.get('idempotency-replayed'), 'true');
          }
        }
        assert.equal((await ask(one, idempotencyKey, one.body)).text, made[0]!.text);
      });

      it('stores nothing when it failed', async () => {
        const one = await aCase();
        const before = await one.count();
        const idempotencyKey = randomUUID();
        const failed = await ask(one, idempotencyKey, one.refused);
        assert.ok(failed.status >= 400 && failed.status < 500, failed.text);
        assert.equal(await rows(api, 'idempotency_records WHERE key = $1', idempotencyKey), 0);
        const again = await ask(one, idempotencyKey, one.refused);
        assert.deepEqual([again.status, again.headers.get('idempotency-replayed')], [failed.status, null]);
        assert.equal(await one.count(), before);
        const good = await ask(one, idempotencyKey, one.body);
        assert.deepEqual([good.status, good.headers.get('idempotency-replayed')], [201, null], good.text);
      });

      it('forgets after 24 hours', async () => {
        const one = await aCase();
        const idempotencyKey = randomUUID();
        await ask(one, idempotencyKey, one.body);
        const age = `UPDATE idempotency_records SET created_at = now() - interval '24 hours 1 second' WHERE key = $1`;
        await api.database.query(age, [idempotencyKey]);
        const reply = await ask(one, idempotencyKey, one.other);
        assert.equal(reply.headers.get('idempotency-replayed'), null);
        assert.notEqual(reply.body.error_code, 'IDEMPOTENCY_KEY_REUSED');
      });
    });
  }

  it('belongs to one principal and one route', async () => {
    const tenant = await aTenant(api);
    const [john, jane] = [await aUser(tenant), await aUser(tenant)];
    const headers = { 'idempotency-key': 'the same' };
    const ids = new Set<string>();
    for (const key of [tenant.key, john.key, jane.key, (await aTenant(api)).key]) {
      const reply = await api.call('POST', '/rooms', { key, body: { name: 'A room' }, headers });
      assert.deepEqual([reply.status, reply.headers.get('idempotency-replayed')], [201, null], reply.text);
      ids.add(reply.body.data.id);
    }
    assert.equal(ids.size, 4);
    const user = await api.call('POST', '/users', { key: tenant.key, body: person(), headers });
    assert.equal(user.status, 201, user.text);
    const slash = await api.call('POST', '/rooms/', { key: john.key, body: { name: 'A room' }, headers });
    assert.equal(slash.headers.get('idempotency-replayed'), 'true');
  });

  it('is the same however the path is spelt', async () => {
    const tenant = await aTenant(api);
    const room = await aRoom(tenant, await aUser(tenant));
    const body = { user_id: (await aUser(tenant)).id };
    const encoded = [...room].map((character) => `%${character.charCodeAt(0).toString(16)}`).join('');
    const replies: Reply[] = [];
    for (const path of [`${encoded}/join`, `${room}/join`, `${room.toUpperCase()}/join/`, `${room}/join?why=not`]) {
      const headers = { 'idempotency-key': 'the same' };
      replies.push(await api.call('POST', `/rooms/${path}`, { key: tenant.key, body, headers }));
    }
    assert.deepEqual(
      replies.map((reply) => [reply.status, reply.headers.get('idempotency-replayed')]),
      [[201, null], ...Array(3).fill([201, 'true'])],
    );
  });
});
