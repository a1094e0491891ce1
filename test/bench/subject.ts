/** Our own server, prepared through its REST API alone. */
import type { LoadGenerator, Server } from './processes.js';
import { bearer, messagesTo, pageOf } from './payloads.js';

/** What the loads need to know of the prepared server. */
export interface Prepared {
  readonly key: string;
  readonly roomIds: string[];
  /** Holds thousands of messages and gets none after. */
  readonly readRoomId: string;
  /** Continues that room's list behind its first 200 pages. */
  readonly deepCursor: string;
}

const CONCURRENCY = 16;
const DEPTH_PAGES = 200;
const READ_ROOM_MESSAGES = 5_200;

interface Body {
  data: Record<string, string>;
  pagination?: { next_cursor: string | null };
}

async function call(server: Server, key: string | undefined, path: string, body?: object): Promise<Body> {
  const headers = { ...(key && bearer(key)), ...(body && { 'content-type': 'application/json' }) };
  const init = body ? { method: 'POST', headers, body: JSON.stringify(body) } : { headers };
  const answer = await fetch(server.url + path, init);
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}: ${text}`);
  return JSON.parse(text) as Body;
}

/** Registers a client and a user, and makes the rooms that user owns. */
export async function prepare(server: Server, load: LoadGenerator, rooms: number): Promise<Prepared> {
  const client = await call(server, undefined, '/api/v1/clients', { name: 'Benchmark' });
  const user = await call(server, client.data['master_api_key'], '/api/v1/users', {
    email: 'benchmark@example.com',
    username: 'benchmark',
  });
  const key = user.data['scoped_api_key']!;
  const ids: string[] = [];
  let next = 0;
  const make = async () => {
    while (next <= rooms) {
      const body = { name: `Room ${next++}`, room_type: 'group', max_members: 100 };
      ids.push((await call(server, key, '/api/v1/rooms', body)).data['id']!);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, make));
  const readRoomId = ids.pop()!;
  await fill(server, load, key, readRoomId);
  return { key, roomIds: ids, readRoomId, deepCursor: await cursorAtDepth(server, key, readRoomId) };
}

async function fill(server: Server, load: LoadGenerator, key: string, roomId: string): Promise<void> {
  const filled = await load.run({
    url: server.url,
    connections: 64,
    headers: bearer(key),
    requests: messagesTo([roomId]),
    warmUpMs: 0,
    measureMs: 0,
    amount: READ_ROOM_MESSAGES,
    serverPid: server.process.pid!,
  });
  if (filled.failures > 0) throw new Error(`Filling a room failed: ${filled.failure}`);
}

async function cursorAtDepth(server: Server, key: string, roomId: string): Promise<string> {
  let cursor = '';
  for (let page = 0; page < DEPTH_PAGES; page++) {
    const { pagination } = await call(server, key, pageOf(roomId, cursor));
    cursor = pagination?.next_cursor ?? '';
    if (!cursor) throw new Error(`The list ended after ${page + 1} pages.`);
  }
  return cursor;
}
