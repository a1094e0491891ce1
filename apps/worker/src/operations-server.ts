import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { requestIdOf } from '#libs/common';
import type { Operations } from '#libs/composition';

/** Serves health and metrics, and nothing else, for as long as the process lives. */
export async function serveOperations(operations: Operations, port: number, host: string): Promise<void> {
  const server = createServer((request, response) => {
    answer(operations, request, response).catch(() => response.destroy());
  });
  server.listen({ port, host });
  await once(server, 'listening');
}

async function answer(operations: Operations, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [path] = (request.url ?? '').split('?');
  response.setHeader('X-Request-Id', requestIdOf(request));
  const route =
    request.method === 'GET' || request.method === 'HEAD' ? operations[path!.replace(/\/$/, '')] : undefined;
  if (!route) return void response.writeHead(404).end();
  const { status, headers, body } = await route();
  response.writeHead(status, headers).end(body);
}
