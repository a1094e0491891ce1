import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

/** What becomes of a request: it arrives and the answer does not; it is refused with `Retry-After`; nothing happens. */
export type ProxyFault = 'lose the answer' | 'busy' | 'pass';

/** A proxy on loopback that does to each request in turn what it is told, and lets later ones pass. */
export interface LossyProxy {
  url: string;
  /** How many of the faults are still to come. */
  left(): number;
  close(): Promise<void>;
}

/** Starts a proxy before the server at `target`. */
export async function startLossyProxy(target: string, faults: ProxyFault[]): Promise<LossyProxy> {
  const ahead = [...faults];
  const server = createServer((request, response) => {
    void (async () => {
      const body = await buffer(request);
      const fault = ahead.shift() ?? 'pass';
      if (fault === 'busy') return response.writeHead(503, { 'retry-after': '1' }).end('{}');
      const { authorization = '', 'content-type': type = '', 'idempotency-key': key = '' } = request.headers;
      const headers = { authorization, 'content-type': type, 'idempotency-key': key as string };
      const answer = await fetch(target + request.url!, { method: request.method!, headers, body });
      const text = await answer.text();
      if (fault === 'lose the answer') return request.socket.destroy();
      const known = ['content-type', 'idempotency-replayed'].flatMap((name) => {
        const value = answer.headers.get(name);
        return value === null ? [] : [[name, value] as const];
      });
      return response.writeHead(answer.status, Object.fromEntries(known)).end(text);
    })();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    left: () => ahead.length,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
