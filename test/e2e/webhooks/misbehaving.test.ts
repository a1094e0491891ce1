import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createTlsServer } from 'node:https';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { inParallel, until } from '../../support/concurrency.js';
import { aCertificate } from '../../support/certificates.js';
import { aTestDelivery, aWebhook, aWebhookStage, type WebhookStage } from '../../support/webhooks.js';

const STEP_SECONDS = 100;
const HEAD = 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n';

function drip(socket: Socket, first: string, byte: string): void {
  socket.write(first);
  const timer = setInterval(() => socket.write(byte), 1_000);
  socket.on('close', () => clearInterval(timer));
}

/** What a receiver does once it has the head of a request, by the path asked for. */
const MODES: Record<string, (socket: Socket) => void> = {
  '/silent': () => undefined,
  '/reset-in-head': (socket) => socket.write('HTTP/1.1 200 OK\r\nX-A', () => socket.resetAndDestroy()),
  '/closes': (socket) => socket.destroy(),
  '/not-http': (socket) => socket.end('SSH-2.0-OpenSSH_9.6\r\n'),
  '/drips-head': (socket) => drip(socket, 'HTTP/1.1 200 OK\r\nX-Slow: ', 'x'),
  '/drips-body': (socket) => drip(socket, `${HEAD}Content-Length: 1000\r\n\r\n`, 'x'),
  '/huge': (socket) => {
    socket.write(`${HEAD}Content-Length: 10000000\r\n\r\n`);
    const block = 'y'.repeat(100_000);
    for (let i = 0; i < 100; i++) socket.write(block);
  },
  '/too-short': (socket) => socket.end(`${HEAD}Content-Length: 100\r\n\r\nshort`),
  '/too-long': (socket) => socket.end(`${HEAD}Content-Length: 2\r\n\r\nlonger`),
  '/no-content': (socket) => socket.write('HTTP/1.1 204 No Content\r\n\r\n'),
  '/resets-after-2xx': (socket) =>
    socket.write(`${HEAD}Content-Length: 100\r\n\r\nsome`, () => socket.resetAndDestroy()),
  '/later-seconds': (socket) => socket.end('HTTP/1.1 429 Slow\r\nRetry-After: 150\r\nContent-Length: 0\r\n\r\n'),
  '/later-date': (socket) => {
    const at = new Date(Date.now() + 150_000).toUTCString();
    socket.end(`HTTP/1.1 503 Later\r\nRetry-After: ${at}\r\nContent-Length: 0\r\n\r\n`);
  },
  '/later-for-ever': (socket) => socket.end('HTTP/1.1 429 Slow\r\nRetry-After: 999999\r\nContent-Length: 0\r\n\r\n'),
  '/later-nonsense': (socket) => socket.end('HTTP/1.1 429 Slow\r\nRetry-After: soon\r\nContent-Length: 0\r\n\r\n'),
};
for (const status of [300, 301, 302, 303, 304, 307, 308]) {
  MODES[`/redirect-${status}`] = (socket) =>
    socket.end(`HTTP/1.1 ${status} Moved\r\nLocation: /landed\r\nContent-Length: 0\r\n\r\n`);
}

describe('Receivers that misbehave', () => {
  let stage: WebhookStage;
  let server: Server;
  const paths: string[] = [];
  const sockets = new Set<Socket>();
  before(async () => {
    stage = await aWebhookStage({ WEBHOOK_RETRY_SCHEDULE: String(STEP_SECONDS) });
    server = createServer((socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      socket.on('error', () => undefined);
      let text = '';
      socket.on('data', (part) => {
        text += part.toString('latin1');
        if (!text.includes('\r\n\r\n')) return;
        const path = text.split(' ')[1]!;
        text = '';
        paths.push(path);
        MODES[path]?.(socket);
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });
  after(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await stage.stop();
  });

  interface First {
    status: string;
    error_code: string | null;
    status_code: number | null;
    body: string | null;
    ms: number;
    waitSeconds: number | null;
  }

  /** The first attempt at a URL and what is planned after it. */
  const first = async (url: string): Promise<First> => {
    const { id } = await aWebhook(stage.tenant, { url, events: ['user.created'] });
    const delivery = await aTestDelivery(stage.tenant, id);
    await until(`${url} was tried`, async () => (await stage.delivery(id, delivery)).attempts.length > 0, 40_000);
    const { status, next_attempt_at, attempts } = await stage.delivery(id, delivery);
    const [attempt] = attempts;
    const ended = Date.parse(attempt.attempted_at) + attempt.response_time_ms;
    return {
      status,
      error_code: attempt.error_code,
      status_code: attempt.status_code,
      body: attempt.response_body,
      ms: attempt.response_time_ms,
      waitSeconds: next_attempt_at === null ? null : (Date.parse(next_attempt_at) - ended) / 1000,
    };
  };

  it('end as the contract says, each within its time and its bytes', async () => {
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const memory = process.memoryUsage().rss;
    const outcomes = new Map<string, First>();
    await inParallel(Object.keys(MODES), 100, async (path) => void outcomes.set(path, await first(base + path)));
    assert.ok(process.memoryUsage().rss - memory < 200 * 1024 * 1024, 'memory stays bounded');

    const retried = (path: string, code: string, status: number | null = null): First => {
      const one = outcomes.get(path)!;
      assert.deepEqual([one.status, one.error_code, one.status_code], ['retrying', code, status], path);
      return one;
    };
    const sent = (path: string, status = 200): First => {
      const one = outcomes.get(path)!;
      assert.deepEqual(
        [one.status, one.error_code, one.status_code, one.waitSeconds],
        ['sent', null, status, null],
        path,
      );
      return one;
    };
    const lasting = ({ ms }: First, what: string): void => assert.ok(ms >= 14_900 && ms < 25_000, `${what}: ${ms} ms`);
    lasting(retried('/silent', 'EGRESS_TIMEOUT'), 'silent');
    lasting(retried('/drips-head', 'EGRESS_TIMEOUT'), 'a head that drips');
    for (const path of ['/reset-in-head', '/closes', '/not-http']) {
      const { waitSeconds } = retried(path, 'EGRESS_BROKEN');
      // The step, varied by a fifth; the record takes its moment.
      assert.ok(waitSeconds! > STEP_SECONDS * 0.79 && waitSeconds! < STEP_SECONDS * 1.2 + 5, `${path}: ${waitSeconds}`);
    }
    const dripping = sent('/drips-body');
    lasting(dripping, 'a body that drips');
    assert.match(dripping.body!, /^x{5,16}$/);
    assert.equal(sent('/huge').body, 'y'.repeat(16_384));
    assert.equal(sent('/too-short').body, 'short');
    sent('/too-long');
    assert.equal(sent('/no-content', 204).body, '');
    assert.equal(sent('/resets-after-2xx').status_code, 200);
    for (const status of [300, 301, 302, 303, 304, 307, 308]) retried(`/redirect-${status}`, 'HTTP_STATUS', status);
    assert.ok(!paths.includes('/landed'), 'no redirect was followed');

    const asked = (path: string, status: number, seconds: number): void => {
      const { waitSeconds } = retried(path, 'HTTP_STATUS', status);
      assert.ok(waitSeconds! > seconds - 2 && waitSeconds! < seconds + 5, `${path}: ${waitSeconds}`);
    };
    asked('/later-seconds', 429, 150);
    asked('/later-date', 503, 150);
    asked('/later-for-ever', 429, 2 * STEP_SECONDS);
    const nonsense = retried('/later-nonsense', 'HTTP_STATUS', 429).waitSeconds!;
    assert.ok(nonsense > STEP_SECONDS * 0.79 && nonsense < STEP_SECONDS * 1.2 + 5, `${nonsense}`);
  });

  it('that refuse, or show a bad certificate, are tried again; what became private is never connected to', async () => {
    const closed = createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const { port } = closed.address() as AddressInfo;
    closed.close();
    await once(closed, 'close');
    const refused = await first(`http://127.0.0.1:${port}/`);
    assert.deepEqual([refused.status, refused.error_code], ['retrying', 'EGRESS_CONNECT']);

    let asked = 0;
    const tls = createTlsServer(aCertificate(['127.0.0.1']), (_request, response) => {
      asked++;
      response.end();
    }).listen(0, '127.0.0.1');
    await once(tls, 'listening');
    const bad = await first(`https://127.0.0.1:${(tls.address() as AddressInfo).port}/`);
    assert.deepEqual([bad.status, bad.error_code, asked], ['retrying', 'EGRESS_TLS', 0]);
    tls.close();

    const { id } = await aWebhook(stage.tenant, { events: ['user.created'] });
    await stage.api.database.query(`UPDATE webhook_endpoints SET url = 'http://169.254.169.254/' WHERE id = $1`, [id]);
    const delivery = await aTestDelivery(stage.tenant, id);
    const hostile = await stage.settled(id, delivery, 'retrying');
    assert.equal(hostile.attempts[0].error_code, 'EGRESS_ADDRESS_REFUSED');
    assert.doesNotMatch(JSON.stringify(hostile), /169\.254/, 'no address is told');
  });

  it('never hold up the others: 50 good endpoints are served while 5 hang', async () => {
    const { tenant, receiver, ask } = stage;
    const hanging: (() => void)[] = [];
    receiver.answer = (got, response) => {
      if (got.path.startsWith('/hanging')) hanging.push(() => response.end());
      else response.end();
    };
    const endpoints = [
      ...Array.from({ length: 5 }, (_, i) => `/hanging${i}`),
      ...Array.from({ length: 50 }, (_, i) => `/good${i}`),
    ];
    await inParallel(endpoints, 8, (path) => aWebhook(tenant, { url: receiver.url(path), events: ['room.created'] }));
    const EVENTS = 20;
    await inParallel(Array.from({ length: EVENTS }), 4, () => ask('POST', '/rooms', { name: 'A room' }));
    const good = () => receiver.got.filter((one) => one.path.startsWith('/good')).length;
    await until('every good endpoint got everything', () => good() === 50 * EVENTS, 60_000);
    // None of those that hang was answered, and each holds ten at most.
    const held = receiver.got.filter((one) => one.path.startsWith('/hanging')).length;
    assert.equal(held, hanging.length);
    for (let i = 0; i < 5; i++) assert.ok(receiver.at(`/hanging${i}`).length <= 10, 'ten at once at most');
    receiver.answer = (_got, response) => response.end();
    for (const release of hanging) release();
    const all = () => new Set(receiver.got.map((one) => one.headers['webhook-id'])).size;
    await until('those that hung get theirs', () => all() >= 55 * EVENTS, 60_000);
  });
});
