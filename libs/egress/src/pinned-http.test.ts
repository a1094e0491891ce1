import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { aCertificate } from '../../../test/support/certificates.js';
import { startDnsServer, type DnsAnswer } from '../../../test/support/dns-server.js';
import { EgressError, type EgressFault, type EgressRequest } from './egress.js';
import { NameResolver } from './name-resolver.js';
import { PinnedHttp } from './pinned-http.js';
import { ResolvingGuard } from './resolving-guard.js';

const LOOPBACK = ['127.0.0.0/8'];

const cleanUps: (() => unknown)[] = [];
after(async () => {
  for (const cleanUp of cleanUps.reverse()) await cleanUp();
});

async function listening(
  server: Server | ReturnType<typeof createTcpServer>,
  host = '127.0.0.1',
  port = 0,
): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket.on('close', () => sockets.delete(socket))));
  await new Promise<void>((resolve) => server.listen(port, host, resolve));
  cleanUps.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const serve = (listener: RequestListener): Promise<number> => listening(createServer(listener));

async function httpBy(answer: DnsAnswer, allowed: string[] = LOOPBACK, ca?: string) {
  const dns = await startDnsServer(answer);
  const guard = new ResolvingGuard({ production: false, egressAllowedCidrs: allowed }, new NameResolver([dns.address]));
  const http = new PinnedHttp(guard, ca === undefined ? {} : { ca });
  cleanUps.push(
    () => dns.close(),
    () => http.close(),
  );
  return { dns, guard, http };
}

const request = (url: string, fields: Partial<EgressRequest> = {}): EgressRequest => ({
  method: 'POST',
  url,
  headers: { 'content-type': 'application/json' },
  body: '{}',
  timeoutMs: 5_000,
  maxResponseBytes: 1024,
  ...fields,
});

const rejectsWith = (promise: Promise<unknown>, fault: EgressFault) =>
  assert.rejects(promise, (error: unknown) => {
    assert.ok(error instanceof EgressError, String(error));
    assert.equal(error.fault, fault, String(error.cause));
    assert.doesNotMatch(error.message, /127\.0\.0|\.test|secret/);
    return true;
  });

describe('PinnedHttp', () => {
  it('brings the request as it is and the answer as it is, whatever the status', async () => {
    const got: { request: IncomingMessage; body: string }[] = [];
    const port = await serve((req, res) => {
      let body = '';
      req.on('data', (part) => (body += part));
      req.on('end', () => {
        got.push({ request: req, body });
        const headers = ['x-answer', 'a', 'x-answer', 'b', 'retry-after', '7', '__proto__', 'p', 'constructor', 'c'];
        res.writeHead(418, headers).end('short and stout');
      });
    });
    const { http } = await httpBy((_, type) => (type === 'A' ? ['127.0.0.1'] : []));
    const url = `http://hook.test:${port}/path?q=1`;
    const answer = await http.request(request(url, { method: 'PUT', headers: { 'x-mine': 'yes' }, body: 'ü' }));
    assert.equal(answer.status, 418);
    assert.equal(answer.body.toString(), 'short and stout');
    assert.equal(answer.headers['x-answer'], 'a, b');
    const own = new Map(Object.entries(answer.headers));
    assert.deepEqual([own.get('__proto__'), own.get('constructor')], ['p', 'c'], 'whatever a header is called');
    assert.equal(answer.truncated, false);
    assert.ok(answer.timeMs >= 0 && answer.timeMs < 5_000);
    assert.equal(got[0]!.request.method, 'PUT');
    assert.equal(got[0]!.request.url, '/path?q=1');
    assert.equal(got[0]!.request.headers.host, `hook.test:${port}`);
    assert.equal(got[0]!.request.headers['x-mine'], 'yes');
    assert.equal(got[0]!.body, 'ü');
  });

  it('never reaches a name that turns hostile between two look-ups', async () => {
    let reached = 0;
    const port = await serve((_, res) => void (reached++, res.end()));
    const { http, guard, dns } = await httpBy(
      (_, type, nth) => (type === 'AAAA' ? [] : nth % 2 ? ['127.0.0.1'] : ['8.8.8.8']),
      [],
    );
    for (let round = 0; round < 10; round++) {
      // Registered while it looks good, called when it does not.
      await guard.check(`http://flip.test:${port}/`);
      await rejectsWith(http.request(request(`http://flip.test:${port}/`)), 'EGRESS_ADDRESS_REFUSED');
    }
    assert.equal(reached, 0);
    assert.equal(
      dns.asked.filter((one) => one === 'A flip.test').length,
      20,
      'one look-up per check, one per connection',
    );
  });

  it('connects to the address that was checked, by one look-up for each new connection', async () => {
    const at: string[] = [];
    const listener: RequestListener = (req, res) => void (at.push(req.socket.localAddress!), res.end());
    const port = await serve(listener);
    await listening(createServer(listener), '127.0.0.2', port);
    const { http, dns } = await httpBy((_, type, nth) =>
      type === 'AAAA' ? [] : [nth === 0 ? '127.0.0.2' : '127.0.0.1'],
    );
    const url = `http://turning.test:${port}/`;
    for (let i = 0; i < 3; i++) {
      await http.request(request(url));
      // The connection is free again a turn after its answer.
      await turn();
    }
    assert.deepEqual(at, ['127.0.0.2', '127.0.0.2', '127.0.0.2'], 'a kept connection stays where it was checked');
    await Promise.all([http.request(request(url)), http.request(request(url))]);
    assert.deepEqual(at.slice(3).sort(), ['127.0.0.1', '127.0.0.2'], 'a second connection is looked up again');
    assert.equal(dns.asked.filter((one) => one.startsWith('A ')).length, 2);
  });

  it('refuses hostile literals without connecting', async () => {
    let connections = 0;
    const server = createTcpServer((socket) => void (connections++, socket.destroy()));
    const port = await listening(server);
    const { http } = await httpBy(() => [], []);
    for (const host of ['127.0.0.1', '2130706433', '0x7f.1', '[::ffff:127.0.0.1]', '0.0.0.0', 'localhost', '[::]']) {
      await rejectsWith(http.request(request(`http://${host}:${port}/`)), 'EGRESS_ADDRESS_REFUSED');
    }
    assert.equal(connections, 0);
  });

  it('does not follow redirects', async () => {
    const paths: string[] = [];
    const port = await serve((req, res) => {
      paths.push(req.url!);
      res.writeHead(Number(req.url!.slice(1)), { location: '/inside' }).end();
    });
    const { http } = await httpBy((_, type) => (type === 'A' ? ['127.0.0.1'] : []));
    for (const status of [301, 302, 303, 307, 308]) {
      const answer = await http.request(request(`http://hook.test:${port}/${status}`));
      assert.equal(answer.status, status);
      assert.equal(answer.headers['location'], '/inside');
    }
    assert.deepEqual(paths, ['/301', '/302', '/303', '/307', '/308']);
  });

  it('reads up to the limit and cuts off the rest', async () => {
    let written = 0;
    const port = await serve((req, res) => {
      const size = Number(req.url!.slice(1));
      if (size > 0) return void res.end('x'.repeat(size));
      const more = () => {
        while (!res.destroyed && res.write(Buffer.alloc(65_536))) written += 65_536;
      };
      res.on('drain', more).on('close', () => res.destroy());
      more();
    });
    const { http } = await httpBy((_, type) => (type === 'A' ? ['127.0.0.1'] : []));
    for (const [size, read, truncated] of [
      [1023, 1023, false],
      [1024, 1024, false],
      [1025, 1024, true],
      [0, 1024, true],
    ] as const) {
      const answer = await http.request(request(`http://hook.test:${port}/${size}`));
      assert.equal(answer.body.length, read, String(size));
      assert.equal(answer.truncated, truncated, String(size));
    }
    assert.ok(written < 64 * 1024 * 1024, `an endless answer stops being taken (${written} bytes)`);
  });

  it('ends at its time: silent, or a byte at a time, before, within or after the head', async () => {
    const drip = (socket: Socket, head: string) => {
      socket.on('error', () => undefined).write(head);
      const timer = setInterval(() => socket.write('x'), 50);
      socket.on('close', () => clearInterval(timer));
    };
    const servers = [
      createTcpServer((socket) => void socket.on('error', () => undefined)),
      createTcpServer((socket) => drip(socket, 'HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n')),
      createTcpServer((socket) => drip(socket, 'HTTP/1.1 200 OK\r\nX-Slow: ')),
    ];
    const { http } = await httpBy((_, type) => (type === 'A' ? ['127.0.0.1'] : []));
    const urls: string[] = [];
    for (const server of servers) urls.push(`http://slow.test:${await listening(server)}/`);
    // Silent before the TLS handshake is done, too.
    urls.push(urls[0]!.replace('http:', 'https:'));
    for (const url of urls) {
      const started = Date.now();
      await rejectsWith(http.request(request(url, { timeoutMs: 400 })), 'EGRESS_TIMEOUT');
      // Well below any limit that it could be held to by mistake.
      assert.ok(Date.now() - started < 10_000, url);
    }
  });

  it('ends when the caller says so', async () => {
    const port = await listening(createTcpServer((socket) => void socket.on('error', () => undefined)));
    const { http } = await httpBy((_, type) => (type === 'A' ? ['127.0.0.1'] : []));
    const stop = new AbortController();
    const running = http.request(request(`http://slow.test:${port}/`, { signal: stop.signal }));
    stop.abort();
    await rejectsWith(running, 'EGRESS_TIMEOUT');
  });

  it('tells apart: no such name, refused, broken, not HTTP', async () => {
    const { http } = await httpBy((name, type) => (type === 'A' && name !== 'nobody.test' ? ['127.0.0.1'] : []));
    await rejectsWith(http.request(request('http://nobody.test/')), 'EGRESS_DNS');
    const closing = createTcpServer();
    const free = await listening(closing);
    await new Promise((resolve) => closing.close(resolve));
    await rejectsWith(http.request(request(`http://hook.test:${free}/`)), 'EGRESS_CONNECT');
    const broken = [
      'SSH-2.0-OpenSSH_9.6\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort',
      `HTTP/1.1 200 OK\r\nX-Large: ${'x'.repeat(100_000)}\r\n\r\n`,
      '',
    ];
    for (const answer of broken) {
      const port = await listening(createTcpServer((socket) => void socket.on('error', () => undefined).end(answer)));
      await rejectsWith(http.request(request(`http://hook.test:${port}/`)), 'EGRESS_BROKEN');
    }
  });

  it('speaks TLS to the name, not the address, and only with certificates it trusts', async () => {
    const good = aCertificate(['hook.test']);
    const expired = aCertificate(['hook.test'], -1);
    const names: string[] = [];
    const serveTls = (certificate: { cert: string; key: string }) =>
      listening(
        createTlsServer(
          certificate,
          (req, res) => void (names.push((req.socket as unknown as { servername: string }).servername), res.end('ok')),
        ),
      );
    const answer: DnsAnswer = (_, type) => (type === 'A' ? ['127.0.0.1'] : []);
    const trusting = await httpBy(answer, LOOPBACK, good.cert + expired.cert);
    const port = await serveTls(good);
    assert.equal((await trusting.http.request(request(`https://hook.test:${port}/`))).body.toString(), 'ok');
    assert.deepEqual(names, ['hook.test']);
    await rejectsWith(trusting.http.request(request(`https://other.test:${port}/`)), 'EGRESS_TLS');
    await rejectsWith(trusting.http.request(request(`https://hook.test:${await serveTls(expired)}/`)), 'EGRESS_TLS');
    const { http } = await httpBy(answer);
    await rejectsWith(http.request(request(`https://hook.test:${port}/`)), 'EGRESS_TLS');
    const plain = await serve((_, res) => void res.end());
    await rejectsWith(http.request(request(`https://hook.test:${plain}/`)), 'EGRESS_TLS');
  });
});
