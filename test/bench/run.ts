/** `npm run bench -- messages|fanout`: ours against references, interleaved in one run. */
import { parseArgs } from 'node:util';
import { benchFanout } from './fanout.js';
import { benchMessages } from './messages.js';

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
if (positionals[0] === 'messages') await benchMessages(rounds, seconds);
else if (positionals[0] === 'fanout') await benchFanout(Number(values.receivers), rounds, seconds * 1000);
else {
  console.error('Usage: npm run bench -- messages [--rounds 5] [--seconds 4]');
  console.error('       npm run bench -- fanout [--receivers 1000] [--rounds 5] [--seconds 4]');
  process.exit(1);
}
process.exit(0);
