import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Channels, Sequencer, Sources, Timings, type EncodedFrame } from '#libs/realtime';
import { Joining } from '../../../libs/realtime/src/room-channel.js';
import { aRoom, aTenant, aUser, startApi, type TestApi } from '../../support/api.js';
import { KeepAlive } from '../../support/concurrency.js';
import { ModelClient, type ModelRoom } from '../../support/model-client.js';
import { Gate } from '../../support/model-room.js';
import { Random } from '../../support/random.js';
import { closeSockets, WAYS } from '../../support/sockets.js';

/** More with MODEL_STEPS=20000; a run again with the MODEL_SEED it printed. */
const STEPS = Number(process.env['MODEL_STEPS'] ?? 2_000);
const SEED = Number(process.env['MODEL_SEED'] ?? Date.now() % 1_000_000_007);
const ROOMS = 3;
const CLIENTS_PER_WAY = 2;
/** A broken channel must be found within so many steps. */
const STEPS_TO_FIND = 600;
const MAX_READ_MS = 20;

/** Forgets every twentieth frame. */
class Dropping extends Sequencer {
  private count = 0;

  override offer(frame: EncodedFrame): EncodedFrame[] {
    return super.offer(frame).filter(() => ++this.count % 20 !== 0);
  }
}

/** Lets every twentieth frame out after the one that follows it. */
class Swapping extends Sequencer {
  private count = 0;
  private late: EncodedFrame[] = [];

  override offer(frame: EncodedFrame): EncodedFrame[] {
    const released = super.offer(frame);
    if (released.length === 0) return released;
    const early = this.late;
    this.late = [];
    if (++this.count % 20 !== 0) return [...released, ...early];
    this.late = released;
    return early;
  }
}

describe('A client that does anything at random', () => {
  let api: TestApi;
  let orders: Channels;
  const whole = { newOrder: (): Sequencer => new Sequencer(), hold: Joining.prototype.hold };
  before(async () => {
    api = await startApi();
    orders = api.app.get(Channels);
    // The model talks faster than people do.
    Object.assign(api.app.get(Timings), { floodCommands: 1_000_000 });
    // A database that takes its time: what is told meanwhile must not fall between its answer and what follows live.
    const sources = api.app.get(Sources);
    const { changes } = sources;
    sources.provideChanges({
      changes: async (...asked) => {
        const frames = await changes.changes(...asked);
        await delay(Math.random() * MAX_READ_MS);
        return frames;
      },
    });
  });
  afterEach(() => {
    closeSockets();
    orders.newOrder = whole.newOrder;
    Joining.prototype.hold = whole.hold;
  });
  after(() => api.stop());

  /** Clients over every way, writers beside them; answers how often a state was compared. */
  async function run(
    steps: number,
    seed: number,
    settleMs: number,
  ): Promise<{ steps: number; checks: number; written: number }> {
    const random = new Random(seed);
    const tenant = await aTenant(api);
    const owner = await aUser(tenant);
    const users = await Promise.all(WAYS.flatMap((way) => Array(CLIENTS_PER_WAY).fill(way)).map(() => aUser(tenant)));
    const rooms: ModelRoom[] = [];
    for (let index = 0; index < ROOMS; index++) {
      const id = await aRoom(tenant, owner, { member_ids: users.map((user) => user.id) });
      rooms.push({ id, gate: new Gate() });
    }
    const clients = users.map(
      (user, index) =>
        new ModelClient(
          api,
          tenant,
          user,
          WAYS[index % WAYS.length]!,
          rooms,
          new Random(random.below(2 ** 31)),
          settleMs,
        ),
    );
    const http = new KeepAlive(ROOMS * 2);
    let done = false;
    let written = 0;
    const writers = [...rooms, ...rooms].map(async ({ id, gate }, index) => {
      while (!done) {
        const body = { room_id: id, content: `w${index} ${written++}` };
        const sent = await gate.write(() => http.post(`${api.url}/api/v1/messages`, owner.key, body));
        assert.equal(sent.status, 201);
        const { data } = sent.body as { data: { id: string } };
        const dice = written % 7;
        const change = { key: owner.key, body: dice === 1 ? { content: `changed ${written}` } : undefined };
        if (dice < 2) await gate.write(() => api.call(dice === 1 ? 'PUT' : 'DELETE', `/messages/${data.id}`, change));
      }
    });
    try {
      await Promise.all(
        clients.map(async (client) => {
          try {
            while (!done && client.steps < steps / clients.length) await client.step();
            if (!done) await client.finish();
          } catch (error) {
            done = true;
            throw error;
          }
        }),
      );
    } finally {
      done = true;
      await Promise.allSettled(writers);
      http.close();
    }
    const sum = (of: (client: ModelClient) => number): number => clients.reduce((all, one) => all + of(one), 0);
    return { steps: sum((one) => one.steps), checks: sum((one) => one.checks), written };
  }

  it(
    `always has the database's state after it resumed, on every transport (MODEL_SEED=${SEED})`,
    { timeout: 240_000 },
    async (t) => {
      const result = await run(STEPS, SEED, 60_000);
      t.diagnostic(JSON.stringify(result));
      if (process.env['MODEL_STEPS']) console.log(result);
      assert.ok(result.steps >= STEPS && result.checks >= STEPS / 10, JSON.stringify(result));
    },
  );

  const BROKEN: Record<string, () => void> = {
    'drops a frame': () => (orders.newOrder = () => new Dropping()),
    'swaps two frames': () => (orders.newOrder = () => new Swapping()),
    'loses what comes while a subscription is read': () => (Joining.prototype.hold = () => undefined),
  };
  for (const [what, breakIt] of Object.entries(BROKEN)) {
    it(`notices a channel that ${what}`, { timeout: 120_000 }, async () => {
      breakIt();
      await assert.rejects(run(STEPS_TO_FIND, SEED, 1_500), /differs from the database|came after/);
    });
  }
});
