import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { aRoom, aTenant, aUser, startApi, type TestApi, type TestTenant, type TestUser } from '../support/api.js';

const TEXTS = {
  Latin: 'Žluťoučký kůň – “quoted”',
  Greek: 'Ξεσκεπάζω την ψυχοφθόρα βδελυγμία',
  Cyrillic: 'Съешь же ещё этих мягких французских булок',
  Chinese: '我能吞下玻璃而不伤身体',
  Japanese: 'いろはにほへと チリヌルヲ',
  Korean: '키스의 고유조건은',
  Arabic: 'نص حكيم له سر قاطع',
  Hebrew: 'דג סקרן שט בים',
  Devanagari: 'ऋषियों को सताने वाले',
  Thai: 'เป็นมนุษย์สุดประเสริฐ',
  emoji: '👩‍👩‍👧‍👦🏳️‍🌈👍🏽',
  'combining marks': 'é ≠ é',
  'mixed directions': 'abc \u202Eסוף\u202C def',
  'outside the basic plane': '𝒳𠜎',
  whitespace: '  \t\r\n ends with a line\n',
  markup: `<script>alert('x')</script> & "q" \\ %00 ' OR 1=1 --`,
};

interface Schema {
  $ref?: string;
  type?: string | string[];
  properties?: Record<string, Schema>;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  minItems?: number;
  maxItems?: number;
  format?: string;
}

describe('Texts and limits', () => {
  let api: TestApi;
  let tenant: TestTenant;
  let user: TestUser;
  let room: string;
  before(async () => {
    api = await startApi();
    tenant = await aTenant(api);
    user = await aUser(tenant);
    room = await aRoom(tenant, user);
  });
  after(() => api.stop());

  const send = (fields: Record<string, unknown>) =>
    api.call('POST', '/messages', { key: user.key, body: { room_id: room, content: 'x', ...fields } });
  const sendRaw = (raw: string, headers: Record<string, string> = {}) =>
    api.call('POST', '/messages', { key: user.key, raw, headers });

  for (const [script, text] of Object.entries(TEXTS)) {
    it(`gives back ${script} as it came`, async () => {
      const sent = await send({ content: text, meta: { [text]: text } });
      assert.deepEqual([sent.status, sent.body.data.content, sent.body.data.meta], [201, text, { [text]: text }]);
      const read = await api.call('GET', `/messages/${sent.body.data.id}`, { key: user.key });
      assert.deepEqual([read.body.data.content, read.body.data.meta], [text, { [text]: text }]);
      const named = await aUser(tenant, { full_name: text, external_id: `${text} ${randomUUID()}` });
      const me = await api.call('GET', '/users/me', { key: named.key });
      assert.equal(me.body.data.full_name, text);
    });
  }

  for (const [name, text] of [
    ['NUL', 'a\\u0000b'],
    ['a lone high surrogate', '\\ud83d'],
    ['a lone low surrogate', '\\udc4d'],
  ]) {
    it(`refuses ${name} wherever it stands`, async () => {
      for (const field of [
        `"content":"${text}"`,
        `"client_message_id":"${text}"`,
        `"meta":{"a":["${text}"]}`,
        `"meta":{"${text}":1}`,
      ]) {
        const raw = `{"room_id":"${room}"${field.startsWith('"content"') ? '' : ',"content":"x"'},${field}}`;
        const reply = await sendRaw(raw);
        assert.deepEqual([reply.status, reply.body.error_code], [422, 'VALIDATION_ERROR'], raw);
      }
    });
  }

  it('refuses NUL in a query', async () => {
    const reply = await api.call('GET', '/messages?search=%00', { key: user.key });
    assert.deepEqual([reply.status, reply.body.errors[0].field], [422, 'search']);
  });

  it('takes 16 KiB of meta and not a byte more, in bytes', async () => {
    const empty = Buffer.byteLength('{"a":""}');
    const fit = 'x'.repeat(16 * 1024 - empty);
    assert.equal((await send({ meta: { a: fit } })).status, 201);
    const over = await send({ meta: { a: `${fit}x` } });
    assert.deepEqual([over.status, over.body.errors[0].field], [422, 'meta']);
    assert.equal((await send({ meta: { a: 'é'.repeat(fit.length / 2 + 1) } })).status, 422);
  });

  it('takes no meta that grows beyond 16 KiB where its numbers are written out', async () => {
    const large = await sendRaw(`{"room_id":"${room}","content":"x","meta":{"a":[${'1e308,'.repeat(100)}0]}}`);
    assert.deepEqual([large.status, large.body.errors?.[0].field], [422, 'meta']);
    const small = await send({ meta: { a: [1e21, 1e-300, 1.5e-7, -2e300] } });
    assert.equal(small.status, 201);
    const shown = await api.call('GET', `/messages/${small.body.data.id}`, { key: user.key });
    assert.deepEqual(shown.body.data.meta, { a: [1e21, 1e-300, 1.5e-7, -2e300] });
  });

  it('refuses meta nested too deep, and survives any depth', async () => {
    const nested = (depth: number) => '{"a":'.repeat(depth - 1) + '{}' + '}'.repeat(depth - 1);
    const body = (meta: string) => `{"room_id":"${room}","content":"x","meta":${meta}}`;
    assert.equal((await sendRaw(body(nested(32)))).status, 201);
    assert.equal((await sendRaw(body(nested(33)))).status, 422);
    assert.equal((await sendRaw(body(nested(40_000)))).status, 422);
    const deep = '['.repeat(100_000) + ']'.repeat(100_000);
    const unknown = `{"room_id":"${room}","content":"x","unknown":${deep}}`;
    assert.equal((await sendRaw(unknown)).status, 201, 'an unknown field is ignored');
    const once = await sendRaw(unknown, { 'idempotency-key': randomUUID() });
    assert.ok(once.status < 500, `an unknown field with an Idempotency-Key: ${once.text}`);
  });

  it('takes the last of duplicate keys, and ignores unknown ones and __proto__', async () => {
    const raw = `{"room_id":"${room}","content":"first","content":"last","unknown":1,"__proto__":{"message_type":"image"},"constructor":1}`;
    const reply = await sendRaw(raw);
    assert.deepEqual([reply.status, reply.body.data.content, reply.body.data.message_type], [201, 'last', 'text']);
    assert.equal('unknown' in reply.body.data, false);
    const meta = await sendRaw(`{"room_id":"${room}","content":"x","meta":{"__proto__":{"polluted":1}}}`);
    assert.ok(meta.status < 500, meta.text);
    assert.equal(({} as { polluted?: number }).polluted, undefined);
  });

  it('takes a body of 256 KiB and not a byte more', async () => {
    const frame = `{"room_id":"${room}","content":"x","unknown":""}`;
    const fill = 'x'.repeat(256 * 1024 - frame.length);
    const fit = frame.replace('""', `"${fill}"`);
    assert.equal((await sendRaw(fit)).status, 201);
    const over = await sendRaw(`${fit} `);
    assert.deepEqual([over.status, over.body.error_code], [413, 'PAYLOAD_TOO_LARGE']);
  });

  it('keeps every limit of the OpenAPI document, one below, at and above', async () => {
    const document = (await (await fetch(`${api.url}/openapi.json`)).json()) as {
      components: { schemas: Record<string, Schema> };
      paths: Record<string, Record<string, unknown>>;
    };
    const { schemas } = document.components;
    let probes = 0;
    for (const [path, item] of Object.entries(document.paths)) {
      for (const [method, operation] of Object.entries(item)) {
        const schema = (operation as { requestBody?: { content: Record<string, { schema: Schema }> } }).requestBody
          ?.content['application/json']?.schema;
        if (!schema) continue;
        // A fresh one each: some operations replace its key, or erase it.
        let { key } = await aTenant(api);
        const target = schema.$ref ? schemas[schema.$ref.split('/').at(-1)!]! : schema;
        const route = path.replace('/api/v1', '').replace(/\{\w+\}/g, randomUUID());
        for (const [field, limits] of Object.entries(target.properties ?? {})) {
          for (const [value, allowed] of edges(limits)) {
            // The other fields are missing and the ids point nowhere: only this field is judged.
            const reply = await api.call(method.toUpperCase(), route, { key, body: { [field]: value } });
            if (route.endsWith('/rotate') && reply.status === 201) key = reply.body.data.key;
            const refused = (reply.body?.errors ?? []).some(
              (e: { field: string; message: string }) =>
                e.field === field && /must (have|be a whole number|be an e-mail)/.test(e.message),
            );
            assert.equal(
              refused,
              !allowed,
              `${method} ${path} ${field} ${JSON.stringify(value).slice(0, 40)}: ${reply.text}`,
            );
            assert.ok(reply.status < 500, reply.text);
            probes++;
          }
        }
      }
    }
    assert.ok(probes > 100, `${probes} probes`);
  });
});

/** Values around a field's limits, and whether each is within them. */
function edges(limits: Schema): [unknown, boolean][] {
  const found: [unknown, boolean][] = [];
  const sizes = (min: number | undefined, max: number | undefined) => {
    const all: [number, boolean][] = [];
    if (min !== undefined) all.push([min - 1, false], [min, true], [min + 1, true]);
    if (max !== undefined) all.push([max - 1, true], [max, true], [max + 1, false]);
    return all.filter(([size]) => size >= 0 && size <= 100_001);
  };
  if (limits.format === 'email') {
    const address = (size: number) =>
      `${'a'.repeat(60)}@${'b'.repeat(60)}.${'c'.repeat(60)}.${'d'.repeat(60)}.${'e'.repeat(size - 244)}`;
    return sizes(undefined, limits.maxLength).map(([size, allowed]) => [address(size), allowed]);
  }
  if (limits.minLength !== undefined || limits.maxLength !== undefined) {
    for (const [size, allowed] of sizes(limits.minLength, limits.maxLength)) {
      found.push(['x'.repeat(size), allowed]);
      // Four bytes each: the longest field would be more than a body may be.
      if (size * 4 < 200_000) found.push(['👍'.repeat(size), allowed]);
    }
  }
  for (const [value, allowed] of sizes(limits.minimum, limits.maximum)) found.push([value, allowed]);
  if (limits.format === undefined && limits.minItems !== undefined && limits.maxItems !== undefined) {
    for (const [size, allowed] of sizes(limits.minItems, limits.maxItems)) {
      found.push([Array.from({ length: size }, () => randomUUID()), allowed]);
    }
  }
  return found;
}
