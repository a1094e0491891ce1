import assert from 'node:assert/strict';
import { describe, it, mock } from 'node:test';
import { until } from '../../../test/support/concurrency.js';
import type { Broker } from './broker.js';
import { CatchUp } from './catch-up.js';
import type { RealtimeMetrics } from './realtime-metrics.js';
import type { RoomChannel } from './room-channel.js';
import type { Sources } from './sources.js';
import { Timings } from './timings.js';

describe('The look at all rooms', () => {
  it('comes again and again though the clock is set back by a day', async () => {
    let looks = 0;
    const positions = () => {
      looks++;
      return Promise.resolve([]);
    };
    const timings = Object.assign(new Timings(), { lookMs: { alone: 1, shared: 1, degraded: 1 } });
    const broker = { shared: false, live: true } as Broker;
    const catchUp = new CatchUp({ rooms: { positions } } as unknown as Sources, timings, {} as RealtimeMetrics, broker);
    const rooms = [{ order: {} } as RoomChannel];
    catchUp.start(
      () => rooms,
      () => undefined,
    );
    await until('a first look', () => looks > 0);
    mock.timers.enable({ apis: ['Date'], now: Date.now() - 86_400_000 });
    try {
      const before = looks;
      await until('two more', () => looks > before + 1, 5_000);
    } finally {
      mock.timers.reset();
      catchUp.stop();
    }
    assert.ok(looks > 2);
  });
});
