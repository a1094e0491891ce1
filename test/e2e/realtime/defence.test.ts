import assert from 'node:assert/strict';
import { request, type IncomingMessage } from 'node:http';
import { connect as dial } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, afterEach, before, describe, it } from 'node:test';
import { io } from 'socket.io-client';
import { WebSocket } from 'ws';
import { newId } from '#libs/common';
import { SocketServer, Timings } from '#libs/realtime';
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
import { Connections } from '../../../libs/realtime/src/connections.js';
import { until } from '../../support/concurrency.js';
import { aSocket, closeSockets, connect, WAYS, type TestFrame } from '../../support/sockets.js';

describe('Defence', () => {
  let api: TestApi;
  let tenant: TestTenant;
  let anna: TestUser;
  let room: string;
  let path: string;
  const open: { close(): void }[] = [];
  before(async () => {
    api = await startApi({
      WS_MAX_CONNECTIONS_PER_PRINCIPAL: '3',
      CORS_ORIGINS: 'https://app.example',
      RATE_LIMIT_DEFAULT: '5000/3600',
    });
    tenant = await aTenant(api);
    anna = await aUser(tenant);
    room = await aRoom(tenant, anna);
    path = `${api.url.replace('http', 'ws')}/api/v1/websocket/open`;
  });
  afterEach(() => {
    closeSockets();
    for (const one of open.splice(0)) one.close();
  });
  after(() => api.stop());

  /** A bare socket, and what it is told. */
  function bare(query = '', headers: Record<string, string> = {}) {
    const socket = new WebSocket(path + query, { headers });
    const seen = { socket, frames: [] as TestFrame[], code: 0, status: 0 };
    socket.on('message', (data: Buffer) => seen.frames.push(JSON.parse(data.toString()) as TestFrame));
    socket.on('close', (code) => (seen.code = code));
    socket.on('error', () => undefined);
    socket.on('unexpected-response', (_request, response) => (seen.status = response.statusCode!));
    open.push({ close: () => socket.terminate() });
    return seen;
  }

  async function greeted(seen: ReturnType<typeof bare>): Promise<void> {
    await until('the greeting', () => seen.frames.some((frame) => frame.type === 'connection_status'));
  }

  it('takes the key in the first frame', async () => {
    const seen = bare();
    seen.socket.on('open', () => seen.socket.send(JSON.stringify({ type: 'auth', data: { token: anna.key } })));
    await greeted(seen);
  });

  it('takes commands sent right behind the key, in order', async () => {
    const seen = bare();
    seen.socket.on('open', () => {
      seen.socket.send(JSON.stringify({ type: 'auth', data: { token: anna.key } }));
      for (const content of ['1', '2', '3']) {
        seen.socket.send(JSON.stringify({ type: 'send_message', ref: content, data: { room_id: room, content } }));
      }
    });
    await until('three messages', () => seen.frames.filter((frame) => frame.type === 'message').length === 3);
    assert.equal(seen.frames[0]!.type, 'connection_status');
    assert.deepEqual(
      seen.frames.filter((frame) => frame.type === 'message').map((frame) => frame.data.content),
      ['1', '2', '3'],
    );
  });

  it('ends whoever shows no key in time, and whoever shows something else first', async () => {
    const timings = api.app.get(Timings);
    timings.authenticateMs = 100;
    const idle = bare();
    await until('4001', () => idle.code === 4001);
    timings.authenticateMs = 10_000;
    const eager = bare();
    eager.socket.on('open', () => eager.socket.send(JSON.stringify({ type: 'ping' })));
    await until('4001', () => eager.code === 4001);
    assert.equal(eager.frames[0]!.data.error_code, 'INVALID_CREDENTIALS');
  });

  it('refuses a key in the URL, on both transports', async () => {
    for (const name of ['token', 'key', 'api_key', 'access_token']) {
      const seen = bare(`?${name}=${anna.key}`);
      await until('400', () => seen.status === 400);
    }
    const socket = io(api.url, { transports: ['websocket'], query: { token: anna.key }, reconnection: false });
    open.push(socket);
    await new Promise((resolve) => socket.once('connect_error', resolve));
  });

  it('a ticket works once and carries its key', async () => {
    const { body } = await api.call('GET', '/websocket/open', { key: anna.key });
    assert.equal(body.data.url, `ws://localhost:8000/api/v1/websocket/open`);
    assert.deepEqual(body.data.socketio, { url: 'http://localhost:8000', path: '/socket.io' });
    const first = bare(`?ticket=${body.data.ticket}`);
    await greeted(first);
    const second = bare(`?ticket=${body.data.ticket}`);
    await until('4001', () => second.code === 4001);
    const { body: again } = await api.call('GET', '/websocket/open/', { key: anna.key });
    const third = connect(api.url, 'socketio', { ticket: again.data.ticket });
    await third.frame('connection_status');
  });

  it('a ticket ends by itself, and with its key', async () => {
    const timings = api.app.get(Timings);
    timings.ticketMs = 1;
    const { body } = await api.call('GET', '/websocket/open', { key: anna.key });
    timings.ticketMs = 30_000;
    const late = bare(`?ticket=${body.data.ticket}`);
    await until('4001', () => late.code === 4001);
    const user = await aUser(tenant);
    const { body: fresh } = await api.call('GET', '/websocket/open', { key: user.key });
    await api.call('PUT', `/users/${user.id}`, { key: tenant.key, body: { is_active: false } });
    const dead = bare(`?ticket=${fresh.data.ticket}`);
    await until('4001', () => dead.code === 4001);
    const forged = bare(`?ticket=${fresh.data.ticket.slice(0, -2)}AA`);
    await until('4001', () => forged.code === 4001);
  });

  it('lets pages of allowed origins connect, and no others', async () => {
    const good = bare('', { origin: 'https://app.example', authorization: `Bearer ${anna.key}` });
    await greeted(good);
    const own = bare('', { origin: api.url, authorization: `Bearer ${anna.key}` });
    await greeted(own);
    const evil = bare('', { origin: 'https://evil.example', authorization: `Bearer ${anna.key}` });
    await until('403', () => evil.status === 403);
    const socket = io(api.url, {
      transports: ['websocket'],
      extraHeaders: { origin: 'https://evil.example' },
      auth: { token: anna.key },
      reconnection: false,
    });
    open.push(socket);
    await new Promise((resolve) => socket.once('connect_error', resolve));
  });

  it('neither ends nor keeps a socket because the clock is set', async (t) => {
    const timings = api.app.get(Timings);
    const sweep = (): void => (api.app.get(SocketServer) as unknown as { sweep(): void }).sweep();
    const user = await aUser(tenant);
    const { now } = Date;
    let set = 0;
    t.mock.method(Date, 'now', () => now() + set);
    const socket = await aSocket(api.url, 'websocket', user.key);
    set = 3_600_000;
    sweep();
    await socket.ask('ping');
    set = 0;
    await socket.ask('ping');
    set = -3_600_000;
    timings.silentMs = 0;
    sweep();
    timings.silentMs = 60_000;
    await socket.ended();
  });

  it('answers an upgrade anywhere else with 404', async () => {
    const status = await new Promise((resolve, reject) => {
      const call = request(`${api.url}/api/v1/rooms`, {
        headers: { connection: 'upgrade', upgrade: 'websocket' },
      });
      call.on('response', (response) => resolve(response.statusCode)).on('error', reject);
      call.end();
    });
    assert.equal(status, 404);
  });

  it('answers every handshake with its request id, and on the API’s paths the limits, refused or not', async () => {
    const key = { authorization: `Bearer ${anna.key}` };
    const evil = { origin: 'https://evil.example' };
    const plain = '/api/v1/websocket/open';
    const engine = '/socket.io/?EIO=4&transport=websocket';
    const cases: [number, string, Record<string, string>, boolean][] = [
      [101, plain, key, true],
      [400, `${plain}?token=x`, {}, true],
      [400, plain, { 'sec-websocket-key': 'short' }, true],
      [403, plain, evil, true],
      [404, '/api/v1/rooms', key, true],
      [404, '/elsewhere', {}, false],
      [101, engine, {}, false],
      [400, `${engine}&token=x`, {}, false],
      [400, `${engine}&sid=unknown`, {}, false],
      [403, engine, evil, false],
    ];
    for (const [status, path, headers, isApi] of cases) {
      const { response, body } = await upgrade(path, { 'x-request-id': 'given-by-me', ...headers });
      const what = `${path} ${JSON.stringify(headers)}`;
      assert.equal(response.statusCode, status, what);
      assert.equal(response.headers['x-request-id'], 'given-by-me', what);
      assert.equal(response.headers['x-ratelimit-limit'], isApi ? '5000' : undefined, what);
      assert.equal(response.headers['x-ratelimit-remaining'], isApi ? '5000' : undefined, what);
      assert.equal(Number(response.headers['x-ratelimit-reset']) > Date.now() / 1_000, isApi, what);
      if (status !== 101) assert.equal((JSON.parse(body) as { request_id: string }).request_id, 'given-by-me', what);
    }
    const polled = `${api.url}/socket.io/?EIO=4&transport=polling`;
    for (const [status, query] of [
      [200, ''],
      [403, '&token=x'],
      [400, '&sid=unknown'],
    ] as const) {
      const reply = await fetch(polled + query, { headers: { 'x-request-id': 'given-by-me' } });
      assert.deepEqual([reply.status, reply.headers.get('x-request-id')], [status, 'given-by-me'], query);
    }
  });

  /** Asks for an upgrade by hand; what it is answered. */
  async function upgrade(path: string, headers: Record<string, string>) {
    const call = request(api.url + path, {
      headers: {
        ...{ connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-version': '13' },
        ...{ 'sec-websocket-key': 'MDEyMzQ1Njc4OWFiY2RlZg==', ...headers },
      },
    });
    return new Promise<{ response: IncomingMessage; body: string }>((resolve, reject) => {
      call.on('upgrade', (response, socket) => {
        socket.destroy();
        resolve({ response, body: '' });
      });
      call.on('response', (response) => void text(response).then((body) => resolve({ response, body }), reject));
      call.on('error', reject).end();
    });
  }

  for (const way of WAYS) {
    it(`holds the limit of connections per principal: the third is let in, the fourth is not, over ${way}`, async () => {
      const user = await aUser(tenant);
      const kept = [];
      for (let count = 1; count <= 3; count++) kept.push(await aSocket(api.url, way, user.key));
      assert.deepEqual(await connect(api.url, way, { token: user.key }).ended(), { code: 4004 });
      kept[0]!.close();
      await until('a free place', async () => {
        const socket = connect(api.url, way, { token: user.key });
        await until('an answer', () => socket.closed !== undefined || socket.frames.length > 0);
        return socket.frames[0]?.type === 'connection_status';
      });
    });

    it(`ends a connection that floods, and nobody else's, over ${way}`, async () => {
      const timings = api.app.get(Timings);
      timings.floodSeconds = 1;
      const [user, other] = [await aUser(tenant), await aUser(tenant)];
      const [socket, bystander] = [await aSocket(api.url, way, user.key), await aSocket(api.url, way, other.key)];
      await until('4004', async () => {
        if (socket.closed) return true;
        await Promise.all(Array.from({ length: 20 }, () => socket.command('ping')));
        return false;
      });
      assert.deepEqual(socket.closed, { code: 4004 });
      timings.floodSeconds = 10;
      await bystander.ask('ping');
    });
  }

  it('takes a frame of 64 KiB and closes on one that is longer', async () => {
    const seen = bare('', { authorization: `Bearer ${anna.key}` });
    await greeted(seen);
    const fits = JSON.stringify({ type: 'ping', ref: 1, data: { padding: '' } });
    const padded = fits.replace('"padding":""', `"padding":"${'x'.repeat(64 * 1024 - fits.length)}"`);
    assert.equal(padded.length, 64 * 1024);
    seen.socket.send(padded);
    await until('pong', () => seen.frames.some((frame) => frame.type === 'pong'));
    seen.socket.send(`${padded} `);
    await until('1009', () => seen.code === 1009);
  });

  it('survives data nested as deep as a frame allows, on every way', async () => {
    const nested = `${'['.repeat(30_000)}${']'.repeat(30_000)}`;
    for (const transport of ['websocket', 'polling']) {
      const socket = io(api.url, { transports: [transport], auth: { token: anna.key }, forceNew: true });
      open.push(socket);
      await new Promise((resolve) => socket.once('connection_status', resolve));
      const pong = new Promise((resolve) => socket.once('pong', resolve));
      // The client's own encoder would refuse it; the text of the packet goes out as it is.
      (socket.io.engine as unknown as { write(packet: string): void }).write(`2["ping",${nested}]`);
      await pong;
    }
    const seen = bare('', { authorization: `Bearer ${anna.key}` });
    await greeted(seen);
    seen.socket.send(`{"type":"ping","data":${nested}}`);
    await until('pong', () => seen.frames.some((frame) => frame.type === 'pong'));
  });

  it('ends a Socket.IO transport whose client leaves and comes again on it, with a key and without', async () => {
    for (const auth of [`{"token":"${anna.key}"}`, '']) {
      const engine = new WebSocket(`${api.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`);
      open.push({ close: () => engine.terminate() });
      let closed = false;
      engine.on('close', () => (closed = true)).on('error', () => undefined);
      await new Promise((resolve) => engine.once('open', resolve));
      for (const packet of [`40${auth}`, '41', `40${auth}`]) engine.send(packet);
      await until('the end of the transport', () => closed);
    }
    await (await aSocket(api.url, 'socketio', anna.key)).ask('ping');
  });

  it('keeps nothing of rooms a socket unsubscribes from without hearing them', async () => {
    const user = await aUser(tenant);
    const own = await aRoom(tenant, user);
    const socket = await aSocket(api.url, 'websocket', user.key);
    const [connection] = api.app.get(Connections).ofUser(tenant.id, user.id);
    await Promise.all(Array.from({ length: 20 }, () => socket.ask('unsubscribe', { room_id: newId() })));
    assert.equal(connection!.muted, undefined);
    await socket.ask('unsubscribe', { room_id: own });
    assert.deepEqual([...connection!.muted!], [own]);
  });

  it('survives what is no command', async () => {
    const seen = bare('', { authorization: `Bearer ${anna.key}` });
    await greeted(seen);
    const nonsense = ['', 'null', '[]', '{', '"x"', '{"type":5}', '{"type":"ping","ref":{}}', '{"type":"toString"}'];
    for (const text of nonsense) seen.socket.send(text);
    seen.socket.send(Buffer.from([1, 2, 3]));
    await until('an error each', () => seen.frames.filter((f) => f.type === 'error').length === nonsense.length + 1);
    for (const frame of seen.frames.slice(1)) assert.equal(frame.data.error_code, 'BAD_REQUEST');
    const socket = io(api.url, { transports: ['websocket'], auth: { token: anna.key }, reconnection: false });
    open.push(socket);
    await new Promise((resolve) => socket.once('connection_status', resolve));
    const refused = await socket.emitWithAck('send_message', {
      room_id: room,
      content: 'x',
      meta: { raw: Buffer.from([1]) },
    });
    assert.equal(refused.error.error_code, 'BAD_REQUEST');
    assert.equal((await socket.emitWithAck('typing', null)).error.error_code, 'VALIDATION_ERROR');
  });

  it('ends a reader that does not read, while others hear everything', async () => {
    const [slow, sender] = [await aUser(tenant), await aUser(tenant)];
    const wide = await aRoom(tenant, sender, { member_ids: [slow.id] });
    const key = Buffer.from('0123456789abcdef').toString('base64');
    const network = dial(Number(new URL(api.url).port), '127.0.0.1');
    open.push({ close: () => network.destroy() });
    network.on('error', () => undefined);
    network.write(
      `GET /api/v1/websocket/open HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\nAuthorization: Bearer ${slow.key}\r\n\r\n`,
    );
    await new Promise((resolve) => network.once('data', resolve));
    network.pause();
    const reader = await aSocket(api.url, 'websocket', sender.key);
    const content = 'x'.repeat(10_000);
    let sent = 0;
    await until('the slow one is gone', async () => {
      await Promise.all(Array.from({ length: 50 }, () => reader.ask('send_message', { room_id: wide, content })));
      sent += 50;
      const { body } = await api.call('GET', `/rooms/${wide}/online`, { key: sender.key });
      const metrics = await (await fetch(`${api.url}/metrics`)).text();
      assert.equal(body.data.online_users.includes(sender.id), true);
      return /chatapi_socket_too_slow_total [1-9]/.test(metrics);
    });
    await until('the other has all', () => reader.changes(wide).length === sent);
    assert.ok(sent * 10_000 > 1024 * 1024);
  });

  it('takes no part of the REST budget for connecting, and the same budget for sending', async () => {
    const strict = await startApi({ RATE_LIMIT_DEFAULT: '3/3600', RATE_LIMIT_MESSAGES: '2/3600' });
    const other = await aTenant(strict);
    const user = await aUser(other);
    const place = await aRoom(other, user);
    for (let count = 0; count < 5; count++) {
      const socket = await aSocket(strict.url, 'websocket', user.key);
      await socket.ask('subscribe', { room_id: place, after_seq: 0 });
      socket.close();
    }
    assert.equal((await strict.call('GET', '/rooms', { key: user.key })).status, 200);
    await aMessage(other, user, place);
    const socket = await aSocket(strict.url, 'socketio', user.key);
    await socket.ask('send_message', { room_id: place, content: 'two' });
    const third = await socket.command('send_message', { room_id: place, content: 'three' });
    assert.equal(third.error?.error_code, 'RATE_LIMIT_EXCEEDED');
    await strict.stop();
  });

  it('tells every socket to come back elsewhere when the server stops', async () => {
    const stopping = await startApi();
    const other = await aTenant(stopping);
    const user = await aUser(other);
    const sockets = await Promise.all(WAYS.map((way) => aSocket(stopping.url, way, user.key)));
    await stopping.stop();
    for (const socket of sockets) assert.deepEqual(await socket.ended(), { code: 1001 }, socket.way);
  });
});
