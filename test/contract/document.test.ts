import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import * as formats from 'ajv-formats';
import { ERROR_STATUS } from '#libs/common';
import { CHANGE_FRAMES, EVENT_NAMES, TEST_EVENT } from '#libs/contracts';
import { aRoom, aTenant, aUser, startApi, type TestApi } from '../support/api.js';
import { PUBLIC_URL } from '../support/webhooks.js';
import { fillPath, operationsOf, readDocument, type DocumentedOperation, type Json } from '../support/document.js';

const JSON_TYPE = 'application/json';

const ID = '0198c0de-1111-7000-8000-000000000001';
const AN_INSTANT = '2024-01-01T12:00:00.000Z';

/** POSTs whose path says it all. */
const BODYLESS = /^POST .*\/(cancel|retry|read|redeliver)$/;

/** Whether a key must be shown; registration takes a token where the operator has set one. */
function needsKey({ security }: Json): boolean {
  return security.every((one: object) => Object.keys(one).length > 0);
}

describe('The OpenAPI document', () => {
  let api: TestApi;
  let document: Json;
  let operations: DocumentedOperation[];
  let ajv: Ajv2020;
  before(async () => {
    api = await startApi();
    document = await readDocument(api);
    operations = operationsOf(document);
    ajv = new Ajv2020({ strict: false, allErrors: true });
    formats.default.default(ajv);
    ajv.addSchema({ $id: 'doc', ...document });
  });
  after(() => api.stop());

  /** Validates a value by a schema that stands somewhere in the document. */
  const faults = (schema: Json, value: unknown): string => {
    const rooted = JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"doc#/'));
    const validate = ajv.compile(rooted);
    return validate(value) ? '' : ajv.errorsText(validate.errors);
  };

  it('is 3.1, and the committed one but for the address of the server', () => {
    assert.match(document.openapi, /^3\.1\./);
    const committed = JSON.parse(readFileSync('libs/contracts/openapi.json', 'utf8'));
    assert.deepEqual({ ...document, servers: [] }, { ...committed, servers: [] });
  });

  it('gives every operation an id of its own, a summary and a tag', () => {
    assert.ok(operations.length >= 30);
    const ids = operations.map(({ spec }) => spec.operationId);
    assert.equal(new Set(ids).size, ids.length);
    for (const { name, spec } of operations) {
      assert.match(spec.operationId ?? '', /^[a-z]\w+_\w+$/, name);
      assert.ok(spec.summary?.length > 5, `${name}: no summary`);
      assert.ok(spec.tags?.length === 1, `${name}: no tag`);
      assert.ok(spec.security.length > 0, name);
      if (needsKey(spec)) assert.match(spec.description, /^Needs a/m, `${name}: does not say what key it needs`);
    }
  });

  it('lets the registration token be sent from the page, and asks everyone else for a key', () => {
    const open = operations.filter(({ spec }) => !needsKey(spec));
    assert.deepEqual(
      open.map(({ name, spec }) => [name, spec.security]),
      [['POST /clients', [{}, { apiKey: [] }]]],
    );
    assert.match(open[0]!.spec.description, /REGISTRATION_TOKEN/);
  });

  it('has every section described, in one order', () => {
    const described: string[] = document.tags.map(({ name, description }: Json) => {
      assert.ok(description.length > 10, name);
      return name;
    });
    assert.deepEqual([...new Set(operations.flatMap(({ spec }) => spec.tags))].sort(), [...described].sort());
  });

  it('names the headers of what succeeds, and when an error says when to come back', () => {
    const always = ['X-Request-Id', 'X-RateLimit-Limit', 'X-RateLimit-Remaining', 'X-RateLimit-Reset'];
    for (const { name, parameters, spec } of operations) {
      const creates = parameters.some((one) => one.name === 'Idempotency-Key');
      for (const [status, response] of Object.entries<Json>(spec.responses)) {
        const comesBack = status === '429' || status === '503' || (status === '409' && creates);
        const ofErrors = comesBack ? ['Retry-After'] : [];
        const expected = Number(status) >= 400 ? ofErrors : [...always, ...(creates ? ['Idempotency-Replayed'] : [])];
        assert.deepEqual(Object.keys(response.headers ?? {}), expected, `${name} ${status}`);
      }
    }
    for (const header of always) assert.ok(document.info.description.includes(header), header);
  });

  it('says of a body that it may be left out where it may', async () => {
    const [tenant, other] = [await aTenant(api), await aTenant(api)];
    const user = await aUser(tenant);
    const room = await aRoom(tenant, await aUser(tenant));
    const webhook = await api.call('POST', '/webhooks', { key: tenant.key, body: { url: PUBLIC_URL, events: ['*'] } });
    const ids = { room_id: room, webhook_id: webhook.body.data.id };
    const optional = operations.filter(({ spec }) => spec.requestBody && spec.requestBody.required !== true);
    assert.equal(optional.length, 6);
    for (const { name, method, path } of optional) {
      const key = path.startsWith('/rooms') ? user.key : path.endsWith('/keys/rotate') ? other.key : tenant.key;
      const reply = await api.call(method, fillPath(path, ids), { key });
      assert.ok(reply.status < 300, `${name}: ${reply.text}`);
    }
  });

  it('describes every error an operation can answer, with the one error body', () => {
    const codes = new Set(Object.keys(ERROR_STATUS));
    for (const { name, parameters, spec } of operations) {
      const errors = Object.entries<Json>(spec.responses).filter(([status]) => Number(status) >= 400);
      for (const [status, response] of errors) {
        const what = `${name} ${status}`;
        const named: string[] = response.description.split(', ');
        for (const code of named)
          assert.ok(codes.has(code) && ERROR_STATUS[code as 'CONFLICT'] === Number(status), what);
        assert.equal(response.content[JSON_TYPE].schema.$ref, '#/components/schemas/ErrorDto', what);
        assert.equal(faults(response.content[JSON_TYPE].schema, response.content[JSON_TYPE].example), '', what);
      }
      const expected = ['401', '408', '429', '431', '500', '503'];
      if (needsKey(spec)) expected.push('403');
      if (parameters.length > 0 || spec.requestBody) expected.push('422');
      if (parameters.some((one) => one.in === 'path')) expected.push('404');
      if (spec.requestBody) expected.push('400', '413', '415');
      if (parameters.some((one) => one.name === 'Idempotency-Key')) expected.push('400', '409');
      for (const status of expected) assert.ok(spec.responses[status], `${name}: ${status} is missing`);
    }
    const inQuery = operations.find(({ name }) => name === 'GET /messages')!;
    assert.ok(inQuery.spec.responses['404'], 'GET /messages answers 404 for a room_id that is not there');
  });

  it('has a body schema and a valid example for every request and every success', () => {
    for (const { name, method, spec } of operations) {
      const successes = Object.entries<Json>(spec.responses).filter(([status]) => Number(status) < 300);
      assert.ok(successes.length > 0, name);
      for (const [status, response] of successes) {
        if (status === '204') assert.equal(response.content, undefined, name);
        else {
          const { schema, example } = response.content[JSON_TYPE];
          assert.notEqual(example, undefined, `${name} ${status}: no example`);
          assert.equal(faults(schema, example), '', `${name} ${status}: the example does not fit`);
        }
      }
      const body = spec.requestBody?.content[JSON_TYPE];
      if (body) {
        assert.ok(body.example && Object.keys(body.example).length > 0, `${name}: no request example`);
        assert.equal(faults(body.schema, body.example), '', `${name}: the request example does not fit`);
      } else assert.ok(method === 'GET' || method === 'DELETE' || BODYLESS.test(name), `${name}: no request body`);
    }
  });

  it('describes every parameter and every field', () => {
    for (const { name, parameters } of operations) {
      for (const one of parameters) {
        assert.ok(one.schema, `${name}: ${one.name} has no schema`);
        assert.ok(one.description || one.in === 'path', `${name}: ${one.name} has no description`);
      }
    }
    for (const [name, schema] of Object.entries<Json>(document.components.schemas)) {
      const fields = Object.entries<Json>(schema.properties ?? {});
      assert.ok(fields.length > 0 || schema.oneOf, `${name} has no fields`);
      for (const [field, { description }] of fields) {
        assert.ok(description?.trim().length > 3, `${name}.${field} has no description`);
      }
    }
  });

  it('has the payload of every event, with a valid example, as GET /webhooks/event-types has it', async () => {
    const tenant = await aTenant(api);
    const types = (await api.call('GET', '/webhooks/event-types', { key: tenant.key })).body.data.event_types;
    const sections = Object.entries<Json>(document.webhooks);
    assert.deepEqual(
      sections.map(([name]) => name),
      [...EVENT_NAMES, TEST_EVENT],
    );
    for (const [index, [name, { post }]] of sections.entries()) {
      const { schema, example }: { schema: Json; example: Json } = post.requestBody.content[JSON_TYPE];
      assert.equal(faults(schema, example), '', name);
      assert.equal(example.event, name);
      const type = types[index];
      assert.deepEqual([type.name, type.description, type.example], [name, post.summary, example]);
      const alone = new Ajv2020({ strict: false, allErrors: true });
      formats.default.default(alone);
      const fits: (value: unknown) => boolean = alone.compile(type.schema);
      assert.ok(fits(example), name);
      assert.ok(!fits({ ...example, event: 'other' }), name);
      assert.deepEqual(Object.keys(type.schema.properties.data.properties), Object.keys(example.data), name);
    }
  });

  it('has a discriminator only beside what it tells apart', () => {
    const text = JSON.stringify(document, (_key, value: Json) => {
      if (value?.discriminator)
        assert.ok(
          value.oneOf?.every((one: Json) => one.$ref),
          JSON.stringify(value),
        );
      return value;
    });
    assert.ok(text.includes('"discriminator"'));
  });

  it('says which data goes with which type of change, as the sockets have it', () => {
    const { oneOf, discriminator } = document.components.schemas.ChangeFrameDto;
    assert.deepEqual(Object.keys(discriminator.mapping), [...CHANGE_FRAMES]);
    assert.deepEqual(
      oneOf.map(({ $ref }: Json) => $ref),
      Object.values(discriminator.mapping),
    );
    const frame = { type: 'user_left', room_id: ID, seq: 1, timestamp: AN_INSTANT };
    const data = { user_id: ID, user_name: 'John', left_at: AN_INSTANT, reason: 'left' };
    const schema = { $ref: '#/components/schemas/ChangeFrameDto' };
    assert.equal(faults(schema, { ...frame, data }), '');
    assert.notEqual(faults(schema, { ...frame, type: 'user_joined', data }), '');
  });

  it('has what a webhook may be posted as one type, told apart by the event', () => {
    const { oneOf, discriminator } = document.components.schemas.WebhookPayload;
    const posted = Object.entries<Json>(document.webhooks).map(([event, { post }]) => [
      event,
      post.requestBody.content[JSON_TYPE].schema.$ref,
    ]);
    assert.deepEqual(Object.entries(discriminator.mapping), posted);
    assert.deepEqual(
      oneOf.map(({ $ref }: Json) => $ref),
      posted.map(([, ref]) => ref),
    );
  });

  it('says null apart from closed sets, arrays and objects: generators make wrong types of them together', () => {
    JSON.stringify(document, (key, value: Json) => {
      if (Array.isArray(value?.type) && key !== 'example') {
        const together = ['enum', 'items', 'properties', 'additionalProperties'].filter((one) => one in value);
        assert.deepEqual(together, [], JSON.stringify(value));
      }
      assert.notEqual(value?.nullable, true, JSON.stringify(value));
      return value;
    });
  });

  it('says of whole numbers that may not fit into 32 bits that they need more', () => {
    JSON.stringify(document, (_key, value: Json) => {
      if (value?.type === 'integer' && value.maximum > 2 ** 31 - 1) assert.equal(value.format, 'int64');
      return value;
    });
  });

  it('gives no component a name that languages or generators have taken', () => {
    for (const name of Object.keys(document.components.schemas)) {
      assert.doesNotMatch(
        name,
        /^(Error|Object|Date|Promise|Response|Request|Record|Map|Set|Event|Exception|ApiError|ApiClient|HttpClient|Configuration)$/,
      );
    }
  });

  it('describes nothing that nothing refers to, but for the union of payloads', () => {
    const text = JSON.stringify(document);
    const unused = Object.keys(document.components.schemas).filter(
      (name) => !text.includes(`"$ref":"#/components/schemas/${name}"`),
    );
    assert.deepEqual(unused, ['WebhookPayload']);
  });

  it('leads nowhere: every reference is there', () => {
    for (const [, ref] of JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)) {
      const target = ref!.split('/').reduce((at: Json, step) => at?.[step], document);
      assert.ok(target, ref);
    }
  });

  it('tells the truth about real answers', async () => {
    const tenant = await aTenant(api);
    const ask = async (name: string, path: string, body?: unknown) => {
      const [method] = name.split(' ');
      const reply = await api.call(method!, path, { key: tenant.key, body });
      const { spec } = operations.find((one) => one.name === name)!;
      const schema = spec.responses[reply.status]?.content[JSON_TYPE].schema;
      assert.ok(schema, `${name}: ${reply.status} is not in the document`);
      assert.equal(faults(schema, reply.body), '', `${name} ${reply.status}`);
      return reply.body.data;
    };
    const exampleOf = (name: string) =>
      operations.find((one) => one.name === name)!.spec.requestBody.content[JSON_TYPE].example;
    const user = await ask('POST /users', '/users', exampleOf('POST /users'));
    const room = await ask('POST /rooms', '/rooms', { name: 'A room', owner_id: user.id });
    const message = await ask('POST /messages', '/messages', {
      room_id: room.id,
      content: 'hello',
      sender_id: user.id,
    });
    await ask('GET /users', '/users');
    await ask('GET /users', '/users?size=0');
    await ask('GET /users/{user_id}', `/users/${user.id}`);
    await ask('PUT /users/{user_id}', `/users/${user.id}`, { full_name: 'John' });
    await ask('POST /users/login', '/users/login', { user_id: user.id });
    await ask('GET /rooms', '/rooms');
    await ask('GET /rooms', `/rooms?user_id=${user.id}`);
    await ask('GET /rooms/all', '/rooms/all');
    await ask('GET /rooms/{room_id}', `/rooms/${room.id}`);
    await ask('PUT /rooms/{room_id}', `/rooms/${room.id}`, { description: null });
    await ask('GET /rooms/{room_id}/members', `/rooms/${room.id}/members`);
    await ask('GET /rooms/{room_id}/changes', `/rooms/${room.id}/changes`);
    await ask('GET /messages', '/messages');
    await ask('GET /messages/{message_id}', `/messages/${message.id}`);
    await ask('PUT /messages/{message_id}', `/messages/${message.id}`, { content: 'changed' });
    const notification = await ask('POST /notifications', '/notifications', exampleOf('POST /notifications'));
    await ask('POST /notifications/batch', '/notifications/batch', exampleOf('POST /notifications/batch'));
    await ask('POST /notifications', '/notifications', {
      type: 'websocket',
      user_ids: [user.id],
      content: 'hello',
      email_fallback: { to_email: ['a@example.com'], subject: 'You missed something' },
    });
    await ask('GET /notifications', '/notifications');
    await ask('GET /notifications/{notification_id}', `/notifications/${notification.id}`);
    await ask('GET /notifications/analytics', '/notifications/analytics');
    await ask('GET /notifications/webhook-secret', '/notifications/webhook-secret');
    await ask('POST /notifications/{notification_id}/retry', `/notifications/${notification.id}/retry`);
    await ask('POST /notifications/{notification_id}/cancel', `/notifications/${notification.id}/cancel`);
    await ask('GET /clients/me', '/clients/me');
    await ask('GET /clients/me/keys', '/clients/me/keys');
    await ask('POST /clients/me/keys', '/clients/me/keys', exampleOf('POST /clients/me/keys'));
    const webhook = await ask('POST /webhooks', '/webhooks', { url: PUBLIC_URL, events: ['message.*'] });
    await ask('GET /webhooks', '/webhooks');
    await ask('GET /webhooks/event-types', '/webhooks/event-types');
    await ask('GET /webhooks/{webhook_id}', `/webhooks/${webhook.id}`);
    await ask('PUT /webhooks/{webhook_id}', `/webhooks/${webhook.id}`, { meta: { a: 1 } });
    await ask('GET /webhooks/{webhook_id}/secret', `/webhooks/${webhook.id}/secret`);
    await ask('POST /webhooks/{webhook_id}/rotate-secret', `/webhooks/${webhook.id}/rotate-secret`, {});
    const delivery = await ask('POST /webhooks/{webhook_id}/test', `/webhooks/${webhook.id}/test`, {});
    await ask('GET /webhooks/{webhook_id}/deliveries', `/webhooks/${webhook.id}/deliveries`);
    await ask(
      'GET /webhooks/{webhook_id}/deliveries/{delivery_id}',
      `/webhooks/${webhook.id}/deliveries/${delivery.id}`,
    );
    const since = { since: '2024-01-01T00:00:00Z' };
    await ask('POST /webhooks/{webhook_id}/recover', `/webhooks/${webhook.id}/recover`, since);
  });
});
