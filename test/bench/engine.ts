/** What the delivery engine itself costs: deliveries per second with a handler that does nothing. */
import { setTimeout as delay } from 'node:timers/promises';
import { aClient, aDelivery, aHandler, aWorker } from '../../libs/jobs/src/delivery-engine.test-support.js';
import { migrate } from '#libs/database';
import { Bench } from './servers.js';

interface Scenario {
  name: string;
  deliveries: number;
  tenants: number;
  lanes: number;
  laneConcurrency: number;
  attemptMs: number;
}

const SCENARIOS: Scenario[] = [
  { name: 'one tenant, one lane of 64', deliveries: 20_000, tenants: 1, lanes: 1, laneConcurrency: 64, attemptMs: 0 },
  { name: 'one tenant, one lane of 10', deliveries: 10_000, tenants: 1, lanes: 1, laneConcurrency: 10, attemptMs: 0 },
  { name: 'one lane of 10, 2 ms each', deliveries: 10_000, tenants: 1, lanes: 1, laneConcurrency: 10, attemptMs: 2 },
  { name: '50 tenants, 2 lanes each', deliveries: 20_000, tenants: 50, lanes: 2, laneConcurrency: 10, attemptMs: 0 },
  { name: 'one tenant, 200 lanes', deliveries: 20_000, tenants: 1, lanes: 200, laneConcurrency: 10, attemptMs: 0 },
  { name: 'one lane, 100,000 pending', deliveries: 100_000, tenants: 1, lanes: 1, laneConcurrency: 64, attemptMs: 0 },
];

async function measure(url: string, scenario: Scenario): Promise<number> {
  const adder = await aWorker(url, [], { jobs: false });
  try {
    const clients = await Promise.all(Array.from({ length: scenario.tenants }, () => aClient(adder.database)));
    for (let from = 0; from < scenario.deliveries; from += 1_000) {
      const batch = Array.from({ length: 1_000 }, (_, i) =>
        aDelivery(clients[(from + i) % clients.length]!, {
          lane: `lane ${(((from + i) / clients.length) % scenario.lanes) | 0}`,
        }),
      );
      await adder.database.run((tx) => adder.deliveries.add(tx, batch));
    }
    const { attemptMs, laneConcurrency } = scenario;
    let done = 0;
    const handler = aHandler({ laneConcurrency, settled: async (_tx, s) => void (done += s.length) }, async () => {
      if (attemptMs > 0) await delay(attemptMs);
      return { result: 'sent' };
    });
    const started = performance.now();
    const worker = await aWorker(url, [handler]);
    while (done < scenario.deliveries) await delay(5);
    const seconds = (performance.now() - started) / 1_000;
    await worker.stop();
    return scenario.deliveries / seconds;
  } finally {
    await adder.stop();
  }
}

/** Prints one row per scenario. */
export async function benchEngine(): Promise<void> {
  const bench = new Bench();
  await bench.start();
  try {
    const url = await bench.database('engine');
    await migrate(url);
    console.log('| scenario | deliveries/s |\n|---|---|');
    for (const scenario of SCENARIOS) {
      console.log(`| ${scenario.name} | ${Math.round(await measure(url, scenario))} |`);
    }
  } finally {
    await bench.stop();
  }
}
