import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Reply } from './api.js';

/** Runs the work for every item, at most `width` at a time; answers in the order of the items. */
export async function inParallel<T, R>(
  items: T[],
  width: number,
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = new Array<R>(items.length);
  let next = 0;
  const lane = async () => {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index]!, index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
  return results;
}

/** How often a condition is looked at; one that has to ask somebody less and less often, so that it costs them little. */
const LOOK_MS = 2;
const MAX_ASK_MS = 50;
const ASK_SHARE = 0.1;

/** Waits until the condition holds; fails after `ms`, which is ample: machines are slow at times. */
export async function until(what: string, condition: () => boolean | Promise<boolean>, ms = 60_000): Promise<void> {
  const start = performance.now();
  for (;;) {
    const answer = condition();
    if (await answer) return;
    const waited = performance.now() - start;
    assert(waited < ms, `waited in vain: ${what}`);
    const asks = typeof answer !== 'boolean';
    await delay(asks ? Math.min(Math.max(waited * ASK_SHARE, LOOK_MS), MAX_ASK_MS) : LOOK_MS);
  }
}

/** The middle one, the upper of two. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

/** How many answers had each status. */
export function tally(replies: Pick<Reply, 'status'>[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const { status } of replies) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

/** Posts over keep-alive connections, cheaper than fetch when thousands are sent. */
export class KeepAlive {
  private readonly agent: Agent;

  constructor(sockets: number) {
    this.agent = new Agent({ keepAlive: true, maxSockets: sockets });
  }

  post(url: string, key: string, body: unknown): Promise<Pick<Reply, 'status' | 'body'>> {
    const sent = JSON.stringify(body);
    const headers = {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(sent),
    };
    return new Promise((resolve, reject) => {
      const call = request(url, { method: 'POST', agent: this.agent, headers }, (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('end', () =>
          resolve({ status: response.statusCode!, body: JSON.parse(Buffer.concat(parts).toString()) }),
        );
        response.on('error', reject);
      });
      call.on('error', reject);
      call.end(sent);
    });
  }

  close(): void {
    this.agent.destroy();
  }
}
