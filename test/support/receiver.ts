import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

/** One post a receiver got. */
export interface Received {
  path: string;
  headers: Record<string, string>;
  raw: string;
  // Tests look into payloads of every shape.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  body: any;
}

/** How a receiver answers a post. */
export type Answering = (got: Received, response: ServerResponse, request: IncomingMessage) => void;

const ok: Answering = (_got, response) => response.end('ok');

/** A local receiver that remembers what it got, and answers as it is told. */
export class Receiver {
  readonly got: Received[] = [];
  answer: Answering = ok;

  private constructor(private readonly server: Server) {}

  /** Listens on a free port. */
  static async start(): Promise<Receiver> {
    const server = createServer({ keepAliveTimeout: 30_000 });
    const receiver = new Receiver(server);
    server.on('request', (request, response) => receiver.take(request, response));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return receiver;
  }

  /** Its address, with a path. */
  url(path = '/hook'): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}${path}`;
  }

  /** What came to a path. */
  at(path: string): Received[] {
    return this.got.filter((one) => one.path === path);
  }

  /** What came of an event. */
  of(event: string): Received[] {
    return this.got.filter((one) => one.body.event === event);
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  private take(request: IncomingMessage, response: ServerResponse): void {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('error', () => undefined);
    request.on('end', () => {
      const raw = Buffer.concat(parts).toString('utf8');
      const headers = request.headers as Record<string, string>;
      const got = { path: request.url!, headers, raw, body: JSON.parse(raw) as unknown };
      this.got.push(got);
      this.answer(got, response, request);
    });
  }
}
