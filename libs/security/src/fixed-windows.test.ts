import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FixedWindows } from './fixed-windows.js';

describe('FixedWindows', () => {
  it('lets as many through as the limit says, per principal, and tells when the window ends', () => {
    const windows = new FixedWindows({ points: 2, seconds: 60 });
    const counted = [1, 2, 3].map((n) => windows.count('a', 10_000 + n, 10_000 + n));
    assert.deepEqual(
      counted.map(({ remaining, exceeded }) => [remaining, exceeded]),
      [
        [1, false],
        [0, false],
        [0, true],
      ],
    );
    assert.ok(counted.every(({ limit, resetAt }) => limit === 2 && resetAt === 71));
    assert.equal(windows.count('b', 10_003).remaining, 1);
  });

  it('begins anew the moment the window is over, not before', () => {
    const windows = new FixedWindows({ points: 1, seconds: 60 });
    windows.count('a', 0);
    assert.ok(windows.count('a', 59_999).exceeded);
    assert.deepEqual(windows.count('a', 60_000, 60_000), { limit: 1, remaining: 0, resetAt: 120, exceeded: false });
  });

  it('counts in windows of their length although the clock is set, and tells their end by the clock as it is', (t) => {
    const HOUR = 3_600_000;
    let [time, date] = [500_000, Date.parse('2026-01-01T12:00:00Z')];
    t.mock.method(performance, 'now', () => time);
    t.mock.method(Date, 'now', () => date);
    const passes = (ms: number): void => void ([time, date] = [time + ms, date + ms]);
    for (const set of [-HOUR, HOUR]) {
      const windows = new FixedWindows({ points: 1, seconds: 60 });
      const count = () => windows.count('a');
      const began = count();
      assert.equal(began.resetAt, date / 1000 + 60);
      passes(29_000);
      assert.deepEqual([count().exceeded, count().resetAt], [true, began.resetAt]);
      date += set;
      passes(1_000);
      assert.deepEqual([count().exceeded, count().resetAt], [true, date / 1000 + 30]);
      passes(30_000);
      const next = count();
      assert.deepEqual([next.exceeded, next.resetAt], [false, date / 1000 + 60]);
    }
  });

  it('forgets who has not come back', () => {
    const windows = new FixedWindows({ points: 1, seconds: 1 });
    for (let n = 0; n < 1000; n++) windows.count(`gone ${n}`, 0);
    windows.count('here', 1000);
    assert.equal((windows as unknown as { windows: Map<string, unknown> }).windows.size, 1);
  });
});
