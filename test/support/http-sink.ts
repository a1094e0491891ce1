import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request the sink was sent. */
export interface SunkRequest {
  path: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** A local HTTP server that keeps what it is sent, and answers or misbehaves as it is told. */
export class HttpSink {
  readonly requests: SunkRequest[] = [];
  /** Answers; 204 unless told otherwise. */
  answer: (request: SunkRequest, response: ServerResponse) => void = (_request, response) =>
    void response.writeHead(204).end();
  private readonly server: Server;

  constructor() {
    this.server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const sunk = { path: request.url!, headers: request.headers, body: Buffer.concat(parts).toString() };
        this.requests.push(sunk);
        this.answer(sunk, response);
      });
    });
  }

  /** Listens; answers the URL. */
  async start(): Promise<string> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  /** What came to a path. */
  at(path: string): SunkRequest[] {
    return this.requests.filter((request) => request.path === path);
  }
}
