import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { aMessage, aRoom, aUser } from '../../support/api.js';
import { inParallel, until } from '../../support/concurrency.js';
import { aWebhook, aWebhookStage, type WebhookStage } from '../../support/webhooks.js';

const MESSAGES = 12;

describe('An ordered endpoint', () => {
  let stage: WebhookStage;
  before(async () => {
    stage = await aWebhookStage({ WEBHOOK_RETRY_SCHEDULE: '1,1' });
  });
  after(() => stage.stop());

  it('hears of a room before it hears of its members', async () => {
    const { tenant, receiver } = stage;
    const { id } = await aWebhook(tenant, { url: receiver.url('/begins'), events: ['room.*'], ordered: true });
    const room = await aRoom(tenant, await aUser(tenant), { member_ids: [(await aUser(tenant)).id] });
    await until('all of it has arrived', () => receiver.at('/begins').length === 3);
    const told = receiver.at('/begins').map(({ body }) => body);
    assert.deepEqual(
      told.map(({ event, data }) => [event, data.room_id ?? data.id, data.member_count ?? data.role]),
      [
        ['room.created', room, 2],
        ['room.joined', room, 'owner'],
        ['room.joined', room, 'member'],
      ],
    );
    await stage.ask('DELETE', `/webhooks/${id}`);
  });

  it('gets each room in order, one at a time; a failure holds back that room alone, until it is given up', async () => {
    const { tenant, receiver } = stage;
    const { id } = await aWebhook(tenant, {
      url: receiver.url('/ordered'),
      events: ['message.created'],
      ordered: true,
    });
    const owner = await aUser(tenant);
    const rooms = [await aRoom(tenant, owner), await aRoom(tenant, owner), await aRoom(tenant, owner)];
    const [flaky, dead] = rooms as [string, string, string];
    const inFlight = new Map<string, number>();
    const arrived = new Map<string, number[]>(rooms.map((room) => [room, []]));
    const log: { room: string; n: number; ok: boolean }[] = [];
    receiver.answer = (got, response) => {
      const room = got.body.data.room_id as string;
      const n = Number(got.body.data.content);
      const now = (inFlight.get(room) ?? 0) + 1;
      inFlight.set(room, now);
      assert.equal(now, 1, 'one at a time');
      const attempt = Number(got.headers['x-chatapi-attempt']);
      // The flaky room fails its third message twice, the dead one its second for good.
      const ok = !((room === flaky && n === 3 && attempt < 3) || (room === dead && n === 2));
      log.push({ room, n, ok });
      if (ok) arrived.get(room)!.push(n);
      setImmediate(() => {
        inFlight.set(room, 0);
        response.writeHead(ok ? 200 : 500).end();
      });
    };
    await inParallel(rooms, 3, async (room) => {
      for (let n = 1; n <= MESSAGES; n++) await aMessage(tenant, owner, room, String(n));
    });
    const all = Array.from({ length: MESSAGES }, (_, i) => i + 1);
    await until('everything that can has arrived', () =>
      [...arrived].every(([room, list]) => list.length === (room === dead ? MESSAGES - 1 : MESSAGES)),
    );
    assert.deepEqual(arrived.get(flaky), all);
    assert.deepEqual(arrived.get(rooms[2]!), all);
    assert.deepEqual(
      arrived.get(dead),
      all.filter((n) => n !== 2),
    );
    const failedAt = log.findIndex((one) => one.room === flaky && !one.ok);
    const passedAt = log.findIndex((one) => one.room === flaky && one.n === 3 && one.ok);
    const between = log.slice(failedAt, passedAt);
    assert.ok(
      between.every((one) => one.room !== flaky || one.n === 3),
      'nothing of the room overtakes its failure',
    );
    const freeDone = log.findLastIndex((one) => one.room === rooms[2]);
    assert.ok(freeDone < passedAt, 'the free room was through before the failing one came on');
    const failed = await stage.ask('GET', `/webhooks/${id}/deliveries?status=failed`);
    assert.equal(failed.body.pagination.total, 1);
  });
});
