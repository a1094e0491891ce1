import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, describe, it } from 'node:test';
import { Parser } from '@asyncapi/parser';
import { Ajv2020 } from 'ajv/dist/2020.js';
import * as formats from 'ajv-formats';
import { ASYNCAPI_FILE, FRAME_TYPES } from '#libs/contracts';
import { CLOSE, Commands, Realtime } from '#libs/realtime';
import { aMessage, aRoom, aTenant, aUser, startApi, type TestApi } from '../support/api.js';
import { aSocket, closeSockets, connect, WAYS, type Json } from '../support/sockets.js';

describe('The AsyncAPI document', () => {
  let api: TestApi;
  let document: Json;
  let ajv: Ajv2020;
  before(async () => {
    api = await startApi();
    document = await (await fetch(`${api.url}/asyncapi.json`)).json();
    ajv = new Ajv2020({ strict: false, allErrors: true });
    formats.default.default(ajv);
    ajv.addSchema({ $id: 'doc', components: document.components });
  });
  afterEach(closeSockets);
  after(() => api.stop());

  const at = (reference: string): Json =>
    reference
      .slice(2)
      .split('/')
      .reduce((value: Json, step) => value?.[step], document);

  /** What is wrong with a value by the payload of a message of a channel. */
  const faults = (channel: string, message: string, value: unknown): string => {
    const { $ref } = document.channels[channel].messages[message] ?? {};
    assert.ok($ref, `${channel} has no message ${message}`);
    const validate = ajv.getSchema(at($ref).payload.$ref.replace('#/', 'doc#/'))!;
    assert.ok(validate, message);
    return validate(value) ? '' : `${message}: ${ajv.errorsText(validate.errors)} in ${JSON.stringify(value)}`;
  };

  /** The commands the gateways have bound, as the running server takes them. */
  const handled = (): string[] => {
    const commands = api.app.get(Commands) as unknown as { handlers: Map<string, unknown> };
    return [...commands.handlers.keys()];
  };

  it('is without a fault for the official parser', async () => {
    const diagnostics = await new Parser().validate(JSON.stringify(document));
    const errors = diagnostics.filter(({ severity }) => severity === 0);
    assert.deepEqual(
      errors.map(({ message, path }) => `${path.join('.')}: ${message}`),
      [],
    );
  });

  it('is the committed one but for the address of the server', () => {
    const committed = JSON.parse(readFileSync(ASYNCAPI_FILE, 'utf8'));
    assert.deepEqual({ ...document, servers: {} }, { ...committed, servers: {} });
  });

  it('describes every command a gateway handles, on both transports, with scopes and both answers', () => {
    const commands = handled();
    assert.ok(commands.length >= 9 && commands.includes('send_message'));
    for (const command of commands) {
      for (const channel of ['websocket', 'socketio']) {
        const operation = document.operations[`${channel}.command.${command}`];
        assert.equal(operation?.action, 'receive', `${channel}.${command}`);
        assert.ok(operation.summary.length > 5, `${channel}.${command} has no summary`);
        assert.ok(operation['x-required-scopes'].length > 0, `${channel}.${command} names no scope`);
        assert.equal(operation.reply.messages.length, 2);
      }
    }
    const received = Object.entries<Json>(document.operations).filter(([, { action }]) => action === 'receive');
    assert.equal(received.length, 2 * commands.length + 1, 'nothing but the commands, and auth');
  });

  it('describes every frame of the contract on both transports', () => {
    for (const type of FRAME_TYPES) {
      for (const channel of ['websocket', 'socketio']) {
        assert.equal(document.operations[`${channel}.frame.${type}`]?.action, 'send', `${channel}.${type}`);
        assert.equal(at(document.channels[channel].messages[type].$ref).name, type);
      }
    }
  });

  it('explains every close code and every way to authenticate', () => {
    for (const channel of ['websocket', 'socketio']) {
      for (const code of Object.values(CLOSE))
        assert.match(document.channels[channel].description, new RegExp(`\\| ${code} \\| \\w`));
      assert.ok(document.servers[channel].security.length >= 2);
    }
    assert.equal(document.servers.websocket.security.length, 3);
  });

  it('describes every field, and leads nowhere', () => {
    const look = (name: string, schema: Json): void => {
      for (const [field, inner] of Object.entries<Json>(schema.properties ?? {})) {
        assert.ok(inner.description?.trim().length > 3, `${name}.${field} has no description`);
        look(`${name}.${field}`, inner);
      }
    };
    for (const [name, schema] of Object.entries<Json>(document.components.schemas)) look(name, schema);
    for (const [, reference] of JSON.stringify(document).matchAll(/"\$ref":"(#\/[^"]+)"/g))
      assert.ok(at(reference!), reference);
  });

  for (const way of WAYS) {
    it(`tells the truth about what is really sent, over ${way}`, async () => {
      const channel = way === 'websocket' ? 'websocket' : 'socketio';
      const suffix = channel === 'websocket' ? 'ack' : 'reply';
      const tenant = await aTenant(api);
      const [anna, ben, carl] = [await aUser(tenant), await aUser(tenant), await aUser(tenant)];
      const room = await aRoom(tenant, anna, { member_ids: [ben.id] });
      const sockets = [await aSocket(api.url, way, anna.key), await aSocket(api.url, way, ben.key)];
      const [one, two] = sockets as [(typeof sockets)[0], (typeof sockets)[0]];
      const asked = new Set<string>();
      const ask = async (command: string, data?: object): Promise<Json> => {
        asked.add(command);
        const input = channel === 'websocket' ? { type: command, ref: 1, data } : (data ?? {});
        assert.equal(faults(channel, `${command}.${channel === 'websocket' ? 'command' : 'event'}`, input), '');
        const result = await one.ask(command, data);
        const answered =
          channel === 'websocket'
            ? { type: 'ack', ref: 'r1', data: result, timestamp: new Date().toISOString() }
            : { data: result };
        assert.equal(faults(channel, `${command}.${suffix}`, answered), '');
        return result;
      };
      const sent = await ask('send_message', { room_id: room, content: 'hi', meta: { a: 1 } });
      await ask('edit_message', { message_id: sent.id, content: 'hello' });
      await ask('typing', { room_id: room, is_typing: true });
      await ask('mark_read', { room_id: room, seq: sent.seq });
      await ask('get_online_users', { room_id: room });
      await ask('ping');
      await ask('delete_message', { message_id: sent.id });
      await aMessage(tenant, ben, room);
      await api.call('POST', `/rooms/${room}/join`, { key: carl.key, body: {} });
      await api.call('POST', `/rooms/${room}/leave`, { key: carl.key, body: {} });
      await ask('subscribe', { room_id: room, after_seq: 0 });
      await ask('unsubscribe', { room_id: room });
      await ask('subscribe', { room_id: room });
      assert.deepEqual([...asked].sort(), handled().sort(), 'every command was tried');
      await api.app.get(Realtime).toUsers(tenant.id, [anna.id], {
        type: 'notification',
        data: { id: sent.id, title: 'T', content: 'C', action_url: null, priority: 'normal', icon: null, meta: {} },
        timestamp: new Date().toISOString(),
      });
      await connect(api.url, way, { token: carl.key }).frame('connection_status');
      const refused = await one.command('send_message', { room_id: room });
      const refusal =
        channel === 'websocket'
          ? { type: 'error', data: refused.error, timestamp: new Date().toISOString() }
          : { error: refused.error };
      assert.equal(faults(channel, channel === 'websocket' ? 'error' : 'refusal', refusal), '');
      await api.call('DELETE', `/rooms/${room}`, { key: tenant.key });
      for (const socket of sockets) await socket.frame('error');
      const seen = new Set<string>();
      for (const frame of [...one.frames, ...two.frames]) {
        assert.equal(faults(channel, frame.type, frame), '');
        seen.add(frame.type);
      }
      // Presence is told after a grace, resync only where something went wrong: their own suites make them happen.
      const missing = FRAME_TYPES.filter((type) => !seen.has(type) && !['presence', 'resync'].includes(type));
      assert.deepEqual(missing, [], 'every other frame was seen');
    });
  }
});
