/** What is compared with: the same bytes posted by undici as fast as it goes, nothing stored, nothing signed. */
import { Agent, request } from 'undici';

interface Order {
  url: string;
  body: string;
  amount: number;
  concurrency: number;
}

async function run({ url, body, amount, concurrency }: Order): Promise<number> {
  const dispatcher = new Agent({ pipelining: 1, connections: concurrency });
  let left = amount;
  const started = performance.now();
  const lane = async (): Promise<void> => {
    while (left-- > 0) {
      const headers = { 'content-type': 'application/json' };
      const answer = await request(url, { method: 'POST', body, headers, dispatcher });
      await answer.body.text();
    }
  };
  await Promise.all(Array.from({ length: concurrency }, lane));
  const seconds = (performance.now() - started) / 1000;
  await dispatcher.close();
  return amount / seconds;
}

process.on('message', (order: Order) => void run(order).then((perSecond) => process.send!({ perSecond })));
