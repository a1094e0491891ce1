import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { aMessage, aRoom, aTenant, aUser, startApi, type Reply, type TestApi } from '../support/api.js';
import { inParallel } from '../support/concurrency.js';
import { operationsOf, type DocumentedOperation, type Json } from '../support/document.js';
import { aWebhook } from '../support/webhooks.js';

const document: Json = JSON.parse(readFileSync('libs/contracts/openapi.json', 'utf8'));
const ID = '0198c0de-1111-7000-8000-000000000001';

/** What nobody sends who means well. */
const TEXTS = [
  ...['', ' ', '0', '-1', '1e308', '9007199254740993', 'true', 'null', '%', '\\', "'; --", '{}', '\0', '\u202e\u200b'],
  ...['😀'.repeat(100), 'x'.repeat(4_000), '__proto__', 'constructor'],
  ...['0000-01-01', '9999-12-31', '0000-01-01T00:00:00Z', '9999-12-31T23:59:59-23:59', '0001-01-01T00:00:00+23:59'],
  ...['2024-02-29T24:00:00Z', '2016-12-31T23:59:60Z', '2030-01-01T00:00:00.123456789+14:00'],
  ...[ID, ID.toUpperCase(), '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
  ...['a@example.com', 'a@[127.0.0.1]', 'http://127.0.0.1:99999', 'http://192.0.32.7:0/ü #x', 'http://[::1]:9/'],
];
const VALUES: unknown[] = [
  ...[null, 0, -1, 1.5, 1e308, 9007199254740991, true, '\ud800', 'x'.repeat(20_000), ...TEXTS],
  ...[[], [null], [[]], [1], {}, { a: 1 }, [ID], [ID, ID.toUpperCase()], ['*', '*'], ['message.*', 'message.created']],
  ...[JSON.parse('{"__proto__":{"x":1}}'), Array(101).fill(ID), Array(1_001).fill('a@example.com')],
];

/** What is there no more after it was asked for, or reaches out of the machine. */
const LEFT_OUT = /^DELETE \/clients\/me$|\/keys\/rotate$|\/validate$/;

const resolved = (schema: Json): Json =>
  schema?.$ref === undefined
    ? schema
    : resolved(
        schema.$ref
          .split('/')
          .slice(1)
          .reduce((at: Json, name: string) => at[name], document),
      );

/** The least a schema takes. */
function leastOf(given: Json): Json {
  const schema = resolved(given);
  if (schema?.example !== undefined) return structuredClone(schema.example);
  const variants = schema?.oneOf ?? schema?.anyOf;
  if (variants) return leastOf(variants[0]);
  if (schema?.type === 'array') return [leastOf(schema.items)];
  if (!schema?.properties) return 'x';
  return Object.fromEntries((schema.required ?? []).map((name: string) => [name, leastOf(schema.properties[name])]));
}

describe('No value is a defect', () => {
  let api: TestApi;
  let keys: string[];
  let ids: Record<string, string>;
  before(async () => {
    api = await startApi();
    const tenant = await aTenant(api);
    const [anna, ben] = [await aUser(tenant), await aUser(tenant)];
    const room = await aRoom(tenant, anna, { member_ids: [ben.id] });
    const webhook = (await aWebhook(tenant)).id;
    keys = [tenant.key, anna.key];
    ids = {
      room_id: room,
      message_id: (await aMessage(tenant, anna, room)).id,
      webhook_id: webhook,
      user_id: ben.id,
      delivery_id: (await api.call('POST', `/webhooks/${webhook}/test`, { key: tenant.key })).body.data.id,
    };
  });
  after(() => api.stop());

  const pathOf = (path: string, other?: string): string =>
    path.replace(/\{(\w+)\}/g, (_, name: string) => other ?? ids[name] ?? ID);

  /** Each request of an operation with one hostile value, as method, path and body. */
  function* attacks({ method, path, parameters, spec }: DocumentedOperation): Generator<[string, string, unknown?]> {
    for (const { name } of parameters.filter((one) => one.in === 'query')) {
      for (const text of TEXTS) yield [method, `${pathOf(path)}?${name}=${encodeURIComponent(text)}`];
    }
    if (path.includes('{')) {
      for (const text of ['x', '%00', 'constructor', ID]) yield [method, pathOf(path, text)];
    }
    const schema = resolved(spec.requestBody?.content?.['application/json']?.schema);
    if (!schema) return;
    for (const body of [null, 1, 'x', [], true]) yield [method, pathOf(path), body];
    for (const variant of (schema.oneOf ?? [schema]).map(resolved)) {
      for (const name of Object.keys(variant.properties ?? {})) {
        for (const value of VALUES) yield [method, pathOf(path), { ...leastOf(variant), [name]: value }];
      }
    }
  }

  for (const operation of operationsOf(document).filter(({ name }) => !LEFT_OUT.test(name))) {
    it(`${operation.name}: every answer is one that is written down`, async () => {
      const known = new Set(Object.keys(operation.spec.responses));
      const requests = keys.flatMap((key) => [...attacks(operation)].map((attack) => [key, attack] as const));
      await inParallel(requests, 10, async ([key, [method, path, body]]) => {
        const reply: Reply = await api.call(method, path, { key, body });
        const asked = `${method} ${path.slice(0, 200)} ${JSON.stringify(body)?.slice(0, 300)}`;
        assert.ok(known.has(String(reply.status)), `${reply.status} for ${asked}: ${reply.text.slice(0, 300)}`);
        assert.notEqual(reply.status, 500, asked);
      });
    });
  }
});
