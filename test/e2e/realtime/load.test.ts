import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { aRoom, aTenant, aUser, startApi, type TestApi } from '../../support/api.js';
import { KeepAlive, until } from '../../support/concurrency.js';
import { RoamingClient } from '../../support/roaming-client.js';
import { closeSockets, WAYS } from '../../support/sockets.js';

const PER_SECOND = 1_000;
const SECONDS = 4;
const SENDERS = 32;

describe('A thousand messages a second', () => {
  let api: TestApi;
  before(async () => {
    api = await startApi();
  });
  afterEach(closeSockets);
  after(() => api.stop());

  it(
    'join replay and live without gap or overlap for clients that keep coming back',
    { timeout: 240_000 },
    async (t) => {
      const tenant = await aTenant(api);
      const [owner, ...users] = await Promise.all([1, 2, 3, 4].map(() => aUser(tenant)));
      const room = await aRoom(tenant, owner!, { member_ids: users.map(({ id }) => id) });
      const clients = users.map((user, index) => new RoamingClient(api.url, WAYS[index]!, user, room));
      await until('all listen', () => clients.every((one) => one.reconnects === 0));
      const agent = new KeepAlive(SENDERS);
      const start = Date.now();
      let sent = 0;
      let sending = true;
      const sender = async (): Promise<void> => {
        while (sending) {
          const due = ((Date.now() - start) * PER_SECOND) / 1_000;
          if (sent > due) await delay(1);
          else {
            const { status } = await agent.post(`${api.url}/api/v1/messages`, owner!.key, {
              room_id: room,
              content: `${sent++}`,
            });
            assert.equal(status, 201);
          }
        }
      };
      const senders = Promise.all(Array.from({ length: SENDERS }, sender)).then(() => Date.now() - start);
      // A slow machine gets the time that each client needs to have come back three times.
      const passed = () => (Date.now() - start) / 1_000;
      for (let cut = 0; passed() < SECONDS || (passed() < 90 && clients.some((one) => one.reconnects < 3)); cut++) {
        await delay(150);
        clients[cut % clients.length]!.cut();
      }
      sending = false;
      const rate = Math.round((sent * 1_000) / (await senders));
      agent.close();
      t.diagnostic(`${rate} messages a second, ${clients.map((one) => one.reconnects).join(' ')} reconnects`);
      // The owner's and the members' joining took the numbers before.
      const first = users.length + 1;
      const all = Array.from({ length: sent }, (_, index) => first + 1 + index);
      try {
        for (const one of clients) {
          await until('it has everything', () => (one.check(), one.history.length >= sent));
          assert.ok(one.reconnects >= 3, 'it came back several times');
          assert.deepEqual(one.history, all);
        }
      } finally {
        await Promise.all(clients.map((one) => one.stop()));
      }
    },
  );
});
