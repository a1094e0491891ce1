/** `npm run bench -- messages [--rounds 5] [--seconds 4]`: ours against two references, interleaved in one run. */
import { parseArgs } from 'node:util';
import { benchMessages } from './messages.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '5' }, seconds: { type: 'string', default: '4' } },
});
if (positionals[0] !== 'messages') {
  console.error('Usage: npm run bench -- messages [--rounds 5] [--seconds 4]');
  process.exit(1);
}
await benchMessages(Number(values.rounds), Number(values.seconds));
process.exit(0);
