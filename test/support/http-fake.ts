import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request the fake got. */
export interface FakeRequest {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** What the fake does: answers, cuts the connection, or says nothing. */
export type FakeAnswer = { status: number; headers?: Record<string, string>; body?: unknown } | 'cut' | 'silence';

/** An HTTP service on loopback that answers what it is told. */
export interface HttpFake {
  url: string;
  requests: FakeRequest[];
  /** Decides every answer. */
  answer: (request: FakeRequest) => FakeAnswer;
  close(): Promise<void>;
}

/** Starts a fake on a free port; objects are answered as JSON, strings as they are. */
export async function startHttpFake(answer: HttpFake['answer']): Promise<HttpFake> {
  const fake: HttpFake = { url: '', requests: [], answer, close: async () => undefined };
  const server = createServer((req, res) => {
    const parts: Buffer[] = [];
    req.on('data', (part: Buffer) => parts.push(part));
    req.on('end', () => {
      const body = Buffer.concat(parts).toString('utf8');
      const request = { method: req.method!, path: req.url!, headers: req.headers, body };
      fake.requests.push(request);
      const said = fake.answer(request);
      if (said === 'cut') req.socket.destroy();
      else if (said !== 'silence') {
        res.writeHead(said.status, { 'content-type': 'application/json', ...said.headers });
        res.end(said.body === undefined ? '' : typeof said.body === 'string' ? said.body : JSON.stringify(said.body));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  fake.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  fake.close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return fake;
}
