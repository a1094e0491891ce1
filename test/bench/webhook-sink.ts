/** A receiver in a process of its own: counts what is posted to it, and says by IPC how old each event was and
 * how long it took from the first to the last. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

let count = 0;
let [firstAt, lastAt] = [0, 0];
let ages: number[] = [];
let sample = '';
let keepAges = false;

const server = createServer((request, response) => {
  // Never answered: whoever posts here waits for as long as it likes.
  if (request.url === '/hang') return void request.resume();
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    const now = Date.now();
    count++;
    lastAt = performance.now();
    firstAt ||= lastAt;
    if (keepAges || sample === '') {
      sample = Buffer.concat(parts).toString('utf8');
      if (keepAges) ages.push(now - Date.parse((JSON.parse(sample) as { created_at: string }).created_at));
    }
    response.end('ok');
  });
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => process.send!({ port: (server.address() as AddressInfo).port }));

process.on('message', (message: { keepAges?: boolean; anew?: boolean }) => {
  process.send!({ count, ages, sample, ms: lastAt - firstAt });
  if (message.anew) firstAt = 0;
  if (message.keepAges === undefined) return;
  keepAges = message.keepAges;
  ages = [];
});
