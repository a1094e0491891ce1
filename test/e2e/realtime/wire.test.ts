import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { connect as dial, type Socket } from 'node:net';
import { after, afterEach, before, describe, it } from 'node:test';
import { io } from 'socket.io-client';
import { WebSocket } from 'ws';
import { SocketIoServer } from '../../../libs/realtime/src/socketio-server.js';
import {
  aMessage,
  aRoom,
  aTenant,
  aUser,
  startApi,
  type TestApi,
  type TestTenant,
  type TestUser,
} from '../../support/api.js';
import { until } from '../../support/concurrency.js';
import type { Json } from '../../support/sockets.js';

const SEPARATOR = '\x1e';

/** Written after the protocol documents of Engine.IO 4 and Socket.IO 5, with no client library in between. */
describe('On the wire, Socket.IO', () => {
  let api: TestApi;
  let tenant: TestTenant;
  let anna: TestUser;
  let room: string;
  let base: string;
  const open: { close(): void }[] = [];
  before(async () => {
    api = await startApi();
    tenant = await aTenant(api);
    anna = await aUser(tenant);
    room = await aRoom(tenant, anna);
    base = `${api.url}/socket.io/?EIO=4&transport=`;
  });
  afterEach(() => {
    for (const one of open.splice(0)) one.close();
  });
  after(() => api.stop());

  /** A bare websocket and the packets it got. */
  function packets(query: string) {
    const socket = new WebSocket(`${base.replace('http', 'ws')}websocket${query}`);
    const got: string[] = [];
    const seen = { socket, got, closed: false };
    socket.on('message', (data: Buffer) => got.push(data.toString()));
    socket.on('close', () => (seen.closed = true));
    socket.on('error', () => undefined);
    open.push({ close: () => socket.terminate() });
    return seen;
  }
  const next = async ({ got }: { got: string[] }, start: string): Promise<string> => {
    const find = () => got.find((one) => one.startsWith(start));
    await until(`a packet ${start}, got ${got.join(' ').slice(0, 300)}`, () => find() !== undefined);
    return got.splice(got.indexOf(find()!), 1)[0]!;
  };
  const poll = async (sid: string): Promise<string[]> =>
    (await (await fetch(`${base}polling&sid=${sid}`)).text()).split(SEPARATOR);
  const post = (sid: string, body: string) => fetch(`${base}polling&sid=${sid}`, { method: 'POST', body });
  const handshake = async (): Promise<Json> => {
    const text = await (await fetch(`${base}polling`)).text();
    assert.equal(text[0], '0');
    return JSON.parse(text.slice(1));
  };
  const auth = () => `40${JSON.stringify({ token: anna.key })}`;

  it('opens with a handshake that says how to go on', async () => {
    const opened = await handshake();
    assert.deepEqual(Object.keys(opened).sort(), ['maxPayload', 'pingInterval', 'pingTimeout', 'sid', 'upgrades']);
    assert.deepEqual([opened.upgrades, opened.maxPayload], [['websocket'], 65_536]);
    assert.ok(opened.sid.length >= 10 && opened.pingInterval > 0 && opened.pingTimeout > 0);
    const direct = packets('');
    assert.deepEqual(JSON.parse((await next(direct, '0')).slice(1)).upgrades, []);
  });

  it('refuses what is no handshake, with the codes of the protocol', async () => {
    const code = async (url: string, init?: RequestInit): Promise<[number, number]> => {
      const response = await fetch(url, init);
      return [response.status, ((await response.json()) as { code: number }).code];
    };
    assert.deepEqual(await code(`${base}carrier-pigeon`), [400, 0], 'unknown transport');
    assert.deepEqual(await code(`${base}polling&sid=nobody`), [400, 1], 'unknown session');
    assert.deepEqual(await code(`${base}polling`, { method: 'POST', body: '' }), [400, 2], 'handshake by POST');
    assert.deepEqual(await code(`${base.replace('EIO=4', 'EIO=3')}polling`), [400, 5], 'older protocol');
  });

  it('connects, tells, and answers by the ack id it was given', async () => {
    const { sid } = await handshake();
    assert.equal(await (await post(sid, auth())).text(), 'ok');
    const got: string[] = [];
    while (!got.some((one) => one.startsWith('42'))) got.push(...(await poll(sid)));
    assert.match(got[0]!, /^40\{"sid":"[^"]+"\}$/);
    assert.equal(JSON.parse(got[1]!.slice(2))[0], 'connection_status');
    const send = (content: string) => JSON.stringify(['send_message', { room_id: room, content }]);
    await post(sid, [`427${send('first')}`, `4213${send('second')}`].join(SEPARATOR));
    const answered: string[] = [];
    while (answered.filter((one) => one.startsWith('43')).length < 2) answered.push(...(await poll(sid)));
    const acks = answered.filter((one) => one.startsWith('43'));
    assert.deepEqual(
      acks.map((one) => /^43(\d+)\[/.exec(one)![1]),
      ['7', '13'],
    );
    assert.equal(JSON.parse(acks[1]!.slice(4))[0].data.content, 'second');
    const told = answered.filter((one) => one.startsWith('42')).map((one) => JSON.parse(one.slice(2)));
    for (const [event, frame, ...rest] of told) assert.deepEqual([event, rest], [frame.type, []]);
  });

  it('says why, then disconnects, when the key is not valid; another namespace is a CONNECT_ERROR', async () => {
    const bad = packets('');
    await next(bad, '0');
    bad.socket.send('40{"token":"nonsense"}');
    await next(bad, '40');
    const [event, frame] = JSON.parse((await next(bad, '42')).slice(2));
    assert.deepEqual([event, frame.data.error_code, frame.data.close_code], ['error', 'INVALID_CREDENTIALS', 4001]);
    await until('the end', () => bad.closed);
    const lost = packets('');
    await next(lost, '0');
    lost.socket.send('40/elsewhere,{}');
    assert.equal(await next(lost, '44'), '44/elsewhere,{"message":"Invalid namespace"}');
  });

  it('upgrades from long-polling by the probe, and loses nothing on the way', async () => {
    const { sid } = await handshake();
    await post(sid, auth());
    const got: string[] = [];
    while (!got.some((one) => one.startsWith('42'))) got.push(...(await poll(sid)));
    const waiting = poll(sid);
    const socket = packets(`&sid=${sid}`);
    await until('it is open', () => socket.socket.readyState === WebSocket.OPEN);
    socket.socket.send('2probe');
    assert.equal(await next(socket, '3'), '3probe');
    assert.deepEqual(await waiting, ['6'], 'the waiting poll is let go');
    const { id } = await aMessage(tenant, anna, room, 'during the upgrade');
    socket.socket.send('5');
    const [, frame] = JSON.parse((await next(socket, '42')).slice(2));
    assert.equal(frame.data.id, id);
    socket.socket.send('421["ping"]');
    assert.equal(await next(socket, '43'), '431[{"data":{}}]');
  });

  it('pings, and gives up who does not answer', async () => {
    const { io: server } = api.app.get(SocketIoServer) as unknown as { io: { engine: { opts: Json } } };
    const { pingInterval, pingTimeout } = server.engine.opts;
    Object.assign(server.engine.opts, { pingInterval: 200, pingTimeout: 300 });
    try {
      const [alive, dead] = [packets(''), packets('')];
      alive.socket.on('message', (data: Buffer) => data.toString() === '2' && alive.socket.send('3'));
      await next(alive, '2');
      await until('the silent one is given up', () => dead.closed);
      await next(alive, '2');
      assert.ok(dead.got.includes('2') && !alive.closed);
    } finally {
      Object.assign(server.engine.opts, { pingInterval, pingTimeout });
    }
  });

  it('lets a client go that says so, on either layer', async () => {
    for (const goodbye of ['41', '1']) {
      const socket = packets('');
      await next(socket, '0');
      socket.socket.send(auth());
      await next(socket, '42');
      socket.socket.send(goodbye);
      await until('its place is free', async () => {
        const { body } = await api.call('GET', `/rooms/${room}/online`, { key: anna.key });
        return socket.closed || body.data.total_online <= 1;
      });
    }
  });

  it('keeps the order while its own client moves from long-polling to websocket', async () => {
    let writing = true;
    const writer = (async () => {
      while (writing) await aMessage(tenant, anna, room, 'flow');
    })();
    for (let round = 0; round < 5; round++) {
      const socket = io(api.url, { auth: { token: anna.key }, forceNew: true, reconnection: false });
      open.push({ close: () => void socket.disconnect() });
      let from = 0;
      const seqs: number[] = [];
      socket.on('connection_status', ({ data }) => (from = data.rooms.find((one: Json) => one.room_id === room).seq));
      socket.on('message', ({ seq }) => seqs.push(seq));
      await until('the upgrade', () => socket.io.engine?.transport.name === 'websocket' && from > 0);
      const upgraded = seqs.length;
      await until('some more', () => seqs.length > upgraded + 10);
      assert.deepEqual(
        seqs,
        seqs.map((_, index) => from + 1 + index),
      );
    }
    writing = false;
    await writer;
  });
});

describe('On the wire, plain WebSocket', () => {
  let api: TestApi;
  let anna: TestUser;
  const open: Socket[] = [];
  before(async () => {
    api = await startApi();
    anna = await aUser(await aTenant(api));
  });
  afterEach(() => open.splice(0).forEach((socket) => socket.destroy()));
  after(() => api.stop());

  /** Upgrades by hand; collects what comes after the head. */
  async function upgraded(headers: Record<string, string> = {}) {
    const { hostname, port } = new URL(api.url);
    const socket = dial(Number(port), hostname);
    open.push(socket);
    const all: Record<string, string> = {
      Host: `${hostname}:${port}`,
      Upgrade: 'websocket',
      Connection: 'Upgrade',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
      Authorization: `Bearer ${anna.key}`,
      ...headers,
    };
    const seen = { socket, head: '', data: Buffer.alloc(0), ended: false };
    socket.on('data', (part) => {
      seen.data = Buffer.concat([seen.data, part as Buffer]);
      const end = seen.head ? -1 : seen.data.indexOf('\r\n\r\n');
      if (end < 0) return;
      seen.head = seen.data.subarray(0, end).toString();
      seen.data = seen.data.subarray(end + 4);
    });
    socket.on('close', () => (seen.ended = true)).on('error', () => undefined);
    const lines = Object.entries(all).filter(([, value]) => value !== '');
    socket.write(`GET /api/v1/websocket/open HTTP/1.1\r\n${lines.map(([n, v]) => `${n}: ${v}\r\n`).join('')}\r\n`);
    await until('an answer', () => seen.head !== '');
    return seen;
  }

  /** A client's frame: masked, unless it is to be wrong. */
  function frame(opcode: number, payload: Buffer | string, { fin = true, masked = true } = {}): Buffer {
    const body = Buffer.from(payload);
    assert.ok(body.length < 126);
    const head = Buffer.from([(fin ? 0x80 : 0) | opcode, (masked ? 0x80 : 0) | body.length]);
    if (!masked) return Buffer.concat([head, body]);
    const mask = randomBytes(4);
    return Buffer.concat([head, mask, body.map((byte, index) => byte ^ mask[index % 4]!)]);
  }

  /** The frames a server sent: never masked, never compressed. */
  function framesIn(data: Buffer): { opcode: number; payload: Buffer }[] {
    const found: { opcode: number; payload: Buffer }[] = [];
    for (let at = 0; at + 2 <= data.length;) {
      const [first, second] = [data[at]!, data[at + 1]!];
      assert.equal(first & 0x70, 0, 'no extension bit');
      assert.equal(second & 0x80, 0, 'a server does not mask');
      const head = second === 126 ? 4 : second === 127 ? 10 : 2;
      const size =
        second === 126 ? data.readUInt16BE(at + 2) : second === 127 ? Number(data.readBigUInt64BE(at + 2)) : second;
      found.push({ opcode: first & 0x0f, payload: data.subarray(at + head, at + head + size) });
      at += head + size;
    }
    return found;
  }
  const opcode = async (seen: { data: Buffer }, wanted: number): Promise<Buffer> => {
    const find = () => framesIn(seen.data).find((one) => one.opcode === wanted);
    await until(`a frame with opcode ${wanted}`, () => find() !== undefined);
    return find()!.payload;
  };
  const texts = (seen: { data: Buffer }): Json[] =>
    framesIn(seen.data)
      .filter((one) => one.opcode === 1)
      .map((one) => JSON.parse(one.payload.toString()));

  it('shakes hands as RFC 6455 says, with no extension', async () => {
    const { head } = await upgraded({ 'Sec-WebSocket-Extensions': 'permessage-deflate' });
    assert.match(head, /^HTTP\/1\.1 101 /);
    assert.match(head, /\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=(\r\n|$)/i);
    assert.doesNotMatch(head, /Sec-WebSocket-Extensions/i);
  });

  it('refuses an upgrade that is none', async () => {
    assert.match((await upgraded({ 'Sec-WebSocket-Key': '' })).head, /^HTTP\/1\.1 400 /);
    assert.match((await upgraded({ 'Sec-WebSocket-Version': '7' })).head, /^HTTP\/1\.1 (400|426) /);
  });

  it('answers pings, takes fragments, and echoes a close', async () => {
    const seen = await upgraded();
    seen.socket.write(frame(9, 'are you there'));
    assert.equal((await opcode(seen, 10)).toString(), 'are you there');
    const command = JSON.stringify({ type: 'ping', ref: 'é1' });
    seen.socket.write(frame(1, command.slice(0, 10), { fin: false }));
    seen.socket.write(frame(9, 'between'));
    seen.socket.write(frame(0, command.slice(10)));
    await until('the answer', () => texts(seen).some(({ type, ref }) => type === 'ack' && ref === 'é1'));
    assert.ok(texts(seen).some(({ type, data }) => type === 'pong' && data.ref === 'é1'));
    seen.socket.write(frame(8, Buffer.from([0x03, 0xe8])));
    assert.equal((await opcode(seen, 8)).readUInt16BE(0), 1000);
    await until('the end', () => seen.ended);
  });

  const FAULTS: [string, number, () => Buffer][] = [
    ['a frame without a mask', 1002, () => frame(1, '{}', { masked: false })],
    ['a reserved opcode', 1002, () => frame(3, '{}')],
    ['a continuation of nothing', 1002, () => frame(0, '{}')],
    ['text that is not UTF-8', 1007, () => frame(1, Buffer.from([0xc3, 0x28]))],
  ];
  for (const [what, code, bytes] of FAULTS) {
    it(`closes with ${code} on ${what}`, async () => {
      const seen = await upgraded();
      await opcode(seen, 1);
      seen.socket.write(bytes());
      assert.equal((await opcode(seen, 8)).readUInt16BE(0), code);
    });
  }

  it('says why before it closes with a code of its own', async () => {
    const seen = await upgraded({ Authorization: 'Bearer nonsense' });
    assert.equal((await opcode(seen, 8)).readUInt16BE(0), 4001);
    const [error] = texts(seen);
    assert.deepEqual([error.type, error.data.close_code], ['error', 4001]);
  });
});
