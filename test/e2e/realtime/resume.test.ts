import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import {
  aMessage,
  aRoom,
  aTenant,
  aUser,
  startApi,
  type TestApi,
  type TestTenant,
  type TestUser,
} from '../../support/api.js';
import { KeepAlive, until } from '../../support/concurrency.js';
import { aSocket, closeSockets, WAYS, type TestFrame } from '../../support/sockets.js';

for (const way of WAYS) {
  describe(`Resume over ${way}`, () => {
    let api: TestApi;
    let tenant: TestTenant;
    let anna: TestUser;
    let ben: TestUser;
    let room: string;
    before(async () => {
      api = await startApi();
      tenant = await aTenant(api);
      [anna, ben] = [await aUser(tenant), await aUser(tenant)];
      room = await aRoom(tenant, anna, { member_ids: [ben.id] });
    });
    afterEach(closeSockets);
    after(() => api.stop());

    it('joins replay and live without gap or overlap while messages are being written', async () => {
      const agent = new KeepAlive(8);
      let sent = 0;
      let writing = true;
      const write = async (): Promise<void> => {
        while (writing) {
          await agent.post(`${api.url}/api/v1/messages`, anna.key, { room_id: room, content: `m${++sent}` });
        }
      };
      const writers = Array.from({ length: 8 }, write);
      const socket = await aSocket(api.url, way, ben.key);
      let at: number = socket.frames[0]!.data.rooms[0].seq;
      for (let round = 0; round < 12; round++) {
        await until('some more', () => (socket.changes(room).at(-1)?.seq ?? 0) > at + 20);
        // Forget a part of what came, and ask for it again on the living connection.
        const from = at - (at % 7);
        const before = socket.frames.length;
        const reply = await socket.ask('subscribe', { room_id: room, after_seq: from });
        assert.equal(reply.recovered, true);
        const next = reply.seq + 1;
        await until('what follows', () => socket.changes(room).some((frame) => frame.seq! >= next + 5));
        const replayed: number[] = reply.frames.map((frame: TestFrame) => frame.seq);
        assert.deepEqual(replayed, run(from + 1, reply.seq));
        // Frames that arrived before the answer may be older than it; after it the next number is the first.
        const live = socket.frames.slice(before).filter((frame) => frame.room_id === room && frame.seq! > reply.seq);
        assert.deepEqual(
          live.map((frame) => frame.seq),
          run(next, live.at(-1)!.seq!),
        );
        at = reply.seq;
      }
      writing = false;
      await Promise.all(writers);
      agent.close();
    });

    it('merges what was superseded: an edit, a deletion, a coming and going', async () => {
      const start = (await aMessage(tenant, anna, room, 'start')).seq;
      const [kept, gone] = [await aMessage(tenant, anna, room, 'kept'), await aMessage(tenant, anna, room, 'gone')];
      await api.call('PUT', `/messages/${kept.id}`, { key: anna.key, body: { content: 'kept, edited' } });
      await api.call('DELETE', `/messages/${gone.id}`, { key: anna.key });
      const carl = await aUser(tenant);
      await api.call('POST', `/rooms/${room}/join`, { key: carl.key, body: {} });
      await api.call('POST', `/rooms/${room}/leave`, { key: carl.key, body: {} });
      const socket = await aSocket(api.url, way, ben.key);
      const { frames, seq } = await socket.ask('subscribe', { room_id: room, after_seq: start });
      assert.deepEqual(
        frames.map((frame: TestFrame) => [frame.type, frame.data.content ?? frame.data.reason ?? frame.data.id]),
        [
          ['message', 'kept, edited'],
          ['message_deleted', gone.id],
          ['user_left', 'left'],
        ],
      );
      assert.equal(seq, start + 6);
      const rest = await api.call('GET', `/rooms/${room}/changes?after_seq=${start}`, { key: ben.key });
      assert.deepEqual(frames, rest.body.data.frames);
    });

    it('answers 1,000 changes itself and sends for more to REST', async () => {
      const big = await aRoom(tenant, anna, { member_ids: [ben.id] });
      const agent = new KeepAlive(32);
      const send = () => agent.post(`${api.url}/api/v1/messages`, anna.key, { room_id: big, content: 'x' });
      await Promise.all(Array.from({ length: 999 }, send));
      const socket = await aSocket(api.url, way, ben.key);
      // Two joined: 1,001 changes after 0, 1,000 after 1.
      const all = await socket.ask('subscribe', { room_id: big, after_seq: 1 });
      assert.equal(all.recovered, true);
      assert.equal(all.frames.length, 1000);
      const more = await socket.ask('subscribe', { room_id: big, after_seq: 0 });
      assert.deepEqual(
        { ...more, frames: more.frames.length },
        { room_id: big, seq: 1001, recovered: false, frames: 0 },
      );
      await send();
      await socket.frame('message', (frame) => frame.room_id === big && frame.seq === 1002);
      const ahead = await socket.ask('subscribe', { room_id: big, after_seq: 5_000 });
      assert.equal(ahead.recovered, false);
      assert.equal(ahead.seq, 1002);
      agent.close();
    });

    it('holds through a restart of the server', async () => {
      const first = await startApi();
      const socket = await aSocket(first.url, way, ben.key);
      const seen = await aMessage({ ...tenant, api: first }, anna, room, 'before');
      await socket.frame('message', (frame) => frame.data.id === seen.id);
      await first.stop();
      const missed = await aMessage(tenant, anna, room, 'meanwhile');
      const second = await startApi();
      const back = await aSocket(second.url, way, ben.key);
      const { frames } = await back.ask('subscribe', { room_id: room, after_seq: seen.seq });
      assert.deepEqual(
        frames.map((frame: TestFrame) => frame.data.id),
        [missed.id],
      );
      await second.stop();
    });
  });
}

/** The numbers from one to another. */
function run(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);
}
