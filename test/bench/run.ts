/** `npm run bench -- <what> [--rounds 5] [--seconds 4]`: what is compared runs interleaved in one run. */
import { parseArgs } from 'node:util';
import { benchDeliveries } from './deliveries.js';
import { benchEngine } from './engine.js';
import { benchFanout } from './fanout.js';
import { benchMessages } from './messages.js';
import { benchWebhooks } from './webhooks.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    receivers: { type: 'string', default: '1000' },
  },
});
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const benches: Record<string, () => Promise<void>> = {
  deliveries: () => benchDeliveries(Math.min(rounds, 3), seconds, positionals[1]),
  messages: () => benchMessages(rounds, seconds),
  engine: benchEngine,
  webhooks: () => benchWebhooks(rounds, seconds, positionals[1]),
  fanout: () => benchFanout(Number(values.receivers), rounds, seconds * 1000),
};
const bench = benches[positionals[0] ?? ''];
if (!bench) {
  console.error(`Usage: npm run bench -- ${Object.keys(benches).join('|')} [--rounds 5] [--seconds 4]`);
  console.error('       fanout takes --receivers 1000, too');
  process.exit(1);
}
await bench();
process.exit(0);
