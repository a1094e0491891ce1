import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seeded } from '../../../test/support/random.js';
import { EncodedFrame } from './encoded-frame.js';
import { Sequencer, type FrameOrder } from './sequencer.js';

const frame = (seq: number): EncodedFrame => new EncodedFrame('message', `{"seq":${seq}}`, seq);

/** One room's life: changes are told late, twice, out of order or not at all; the database always has them. */
function live(order: FrameOrder, seed: number): void {
  const next = seeded(seed);
  const first = Math.floor(next() * 3);
  const last = first + 40;
  const told: number[] = [];
  for (let seq = first + 1; seq <= last; seq++) {
    if (next() < 0.1) continue;
    told.splice(Math.max(0, told.length - Math.floor(next() * 4)), 0, seq);
    if (next() < 0.1) told.push(seq);
  }
  const heard: number[] = [];
  const hear = (frames: EncodedFrame[]): void => void heard.push(...frames.map((one) => one.seq));
  const startAt = Math.floor(next() * 8);
  let committed = first;
  for (const [index, seq] of told.entries()) {
    if (index === startAt) hear(order.start(first));
    committed = Math.max(committed, seq);
    hear(order.offer(frame(seq)));
    if (order.hasHole && order.position !== undefined && next() < 0.2) {
      const from = order.position;
      const missing = Array.from({ length: committed - from }, (_, i) => frame(from + 1 + i));
      hear(order.fill(missing, committed));
    }
  }
  const from = order.position!;
  hear(
    order.fill(
      Array.from({ length: last - from }, (_, i) => frame(from + 1 + i)),
      last,
    ),
  );
  assert.deepEqual(
    heard,
    Array.from({ length: last - first }, (_, i) => first + 1 + i),
  );
  assert.equal(order.hasHole, false);
}

/** The suite every order of frames must pass. */
function holds(make: () => FrameOrder, seed: number): void {
  for (let run = 0; run < 500; run++) live(make(), seed + run);
}

/** A sequencer with one fault; the suite must see it. */
class Broken extends Sequencer {
  private calls = 0;

  constructor(private readonly fault: 'drops' | 'swaps' | 'forgets' | 'repeats') {
    super();
  }

  override start(position: number): EncodedFrame[] {
    const released = super.start(position);
    return this.fault === 'forgets' ? [] : released;
  }

  override offer(one: EncodedFrame): EncodedFrame[] {
    const released = super.offer(one);
    if (released.length === 0) return released;
    this.calls++;
    if (this.fault === 'drops' && this.calls === 7) return released.slice(1);
    if (this.fault === 'repeats' && this.calls === 7) return [released[0]!, ...released];
    if (this.fault === 'swaps' && released.length > 1) return [released[1]!, released[0]!, ...released.slice(2)];
    return released;
  }
}

describe('Sequencer', () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
  console.log(`sequencer seed ${seed} (SEED=${seed} runs it again)`);

  it('releases every frame once and in order, whatever is told late, twice or never', () => {
    holds(() => new Sequencer(), seed);
  });

  for (const fault of ['drops', 'swaps', 'forgets', 'repeats'] as const) {
    it(`is told apart from one that ${fault}`, () => {
      assert.throws(() => holds(() => new Broken(fault), seed), assert.AssertionError);
    });
  }

  it('releases merged states and goes on after them', () => {
    const order = new Sequencer();
    order.start(5);
    assert.deepEqual(order.offer(frame(9)), []);
    // 6 and 7 were superseded by 8.
    assert.deepEqual(
      order.fill([frame(8)], 8).map((one) => one.seq),
      [8, 9],
    );
    assert.equal(order.position, 9);
  });

  it('keeps no more than it must: what is forgotten is a hole, and comes from the database', () => {
    const order = new Sequencer();
    order.start(0);
    for (let seq = 2; seq <= 5_000; seq++) order.offer(frame(seq));
    assert.equal(order.hasHole, true);
    const released = order.fill(
      Array.from({ length: 5_000 }, (_, i) => frame(i + 1)),
      5_000,
    );
    assert.equal(released.length, 5_000);
    assert.equal(order.hasHole, false);
  });
});
