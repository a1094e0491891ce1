/** Fewest kills of a proof, and how long it goes on killing once it has these, in ms. */
const FEWEST = 3;
const ENOUGH_MS = 100_000;

/**
 * Counts the kills of a proof: `usual`, or fewer on a machine so slow that they would take longer than a test file may; or
 * as many as asked for, as in `CRASHES=100 TEST_TIMEOUT_S=1800 node dist/test/run.js crash`.
 */
export function* kills(usual: number): Generator<number> {
  const asked = process.env['CRASHES'];
  const most = Number(asked ?? usual);
  const started = performance.now();
  for (let kill = 0; kill < most; kill++) {
    if (asked === undefined && kill >= FEWEST && performance.now() - started > ENOUGH_MS) return;
    yield kill;
  }
}
