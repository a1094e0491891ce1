import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { describe, it } from 'node:test';
import { EventLog } from '#libs/events';
import { Hub } from '#libs/realtime';
import { seeded } from '../../../test/support/random.js';
import { MessageWriter } from './message-writer.js';
import {
  aSend,
  fault,
  HeldExecutor,
  is503,
  outcomeOf,
  range,
  RuleExecutor,
  turn,
} from './message-writer.test-support.js';

describe('MessageWriter', () => {
  it('does not let a room that never runs dry overtake a lone send to another', async () => {
    const executor = new HeldExecutor();
    const writer = new MessageWriter(executor, new Hub(), new EventLog());
    const flood = (n: number) => range(n).forEach(() => void writer.send(aSend('flood')));
    flood(300);
    void writer.send({ ...aSend('lone'), roomId: 'other' });
    for (let flights = 0; flights < 3; flights++) {
      flood(256);
      await executor.succeed();
    }
    assert.ok(executor.batches.flat().includes('lone'));
  });

  it('executes a lone send in the tick it arrives in', async () => {
    const executor = new HeldExecutor();
    const sent = new MessageWriter(executor, new Hub(), new EventLog()).send(aSend('a'));
    assert.deepEqual(executor.batches, [['a']]);
    await executor.succeed();
    assert.equal((await sent).messageId, 'a');
  });

  it('groups what arrives during a flush, in order of arrival, one flush at a time', async () => {
    const executor = new HeldExecutor();
    const writer = new MessageWriter(executor, new Hub(), new EventLog());
    const sent = ['a', 'b', 'c', 'd'].map((content) => writer.send(aSend(content)));
    await turn();
    assert.deepEqual(executor.batches, [['a']]);
    assert.equal(writer.depth, 3);
    await executor.succeed();
    assert.deepEqual(executor.batches, [['a'], ['b', 'c', 'd']]);
    assert.equal(executor.running, 1);
    await executor.succeed();
    assert.deepEqual(
      (await Promise.all(sent)).map((outcome) => outcome.messageId),
      ['a', 'b', 'c', 'd'],
    );
    assert.equal(writer.depth, 0);
  });

  it('goes on at once with a lone send after a rest', async () => {
    const executor = new HeldExecutor();
    const writer = new MessageWriter(executor, new Hub(), new EventLog());
    for (const content of ['a', 'b']) {
      const sent = writer.send(aSend(content));
      assert.equal(executor.running, 1);
      await executor.succeed();
      await sent;
    }
    assert.deepEqual(executor.batches, [['a'], ['b']]);
  });

  it('keeps the order of arrival over many batches', async () => {
    const executor = new RuleExecutor((sends) => sends.map(outcomeOf));
    const writer = new MessageWriter(executor, new Hub(), new EventLog());
    await Promise.all(range(1000).map((n) => writer.send(aSend(`${n}`))));
    assert.deepEqual(executor.batches.flat(), range(1000).map(String));
    assert.ok(executor.batches.every((batch) => batch.length <= 256));
  });

  it('lets one bad row fail alone', async () => {
    const executor = new RuleExecutor((sends) => {
      if (sends.some((send) => send.content === 'bad')) throw fault('23514');
      return sends.map(outcomeOf);
    });
    const writer = new MessageWriter(executor, new Hub(), new EventLog());
    const results = await Promise.allSettled(['first', 'a', 'bad', 'b'].map((content) => writer.send(aSend(content))));
    assert.deepEqual(
      results.map((result) => result.status),
      ['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
    );
    assert.equal((results[2] as PromiseRejectedResult).reason.code, '23514');
    assert.deepEqual(executor.batches, [['first'], ['a', 'bad', 'b'], ['a'], ['bad'], ['b']]);
  });

  for (const code of ['40P01', '40001']) {
    it(`runs a batch again after ${code}`, async () => {
      const executor = new RuleExecutor((sends, run) => {
        if (run === 1) throw fault(code);
        return sends.map(outcomeOf);
      });
      assert.equal((await new MessageWriter(executor, new Hub(), new EventLog()).send(aSend('a'))).messageId, 'a');
      assert.deepEqual(executor.batches, [['a'], ['a']]);
    });
  }

  it('answers 503 when a deadlock comes back every time, and goes on afterwards', async () => {
    let broken = true;
    const executor = new RuleExecutor((sends) => {
      if (broken) throw fault('40P01');
      return sends.map(outcomeOf);
    });
    const writer = new MessageWriter(executor, new Hub(), new EventLog());
    await assert.rejects(writer.send(aSend('a')), is503(/contended/));
    broken = false;
    assert.equal((await writer.send(aSend('b'))).messageId, 'b');
  });

  for (const [name, error] of [
    ['a lost connection', fault()],
    ['ECONNRESET', fault('ECONNRESET')],
    ['a terminated backend', fault('57P01')],
    ['a time-out of the driver', new Error('Query read timeout')],
  ] as const) {
    it(`tells every send of the flush that the outcome is unknown after ${name}`, async () => {
      const executor = new HeldExecutor();
      const writer = new MessageWriter(executor, new Hub(), new EventLog());
      const first = writer.send(aSend('first'));
      const flushed = ['a', 'b', 'c'].map((content) => writer.send(aSend(content)));
      await executor.succeed();
      await first;
      const later = writer.send(aSend('later'));
      const answered = Promise.all(flushed.map((sent) => assert.rejects(sent, is503(/unknown.*client_message_id/))));
      await executor.fail(error);
      await answered;
      assert.deepEqual(executor.batches.at(-1), ['later'], 'who waited goes on');
      await executor.succeed();
      assert.equal((await later).messageId, 'later');
    });
  }

  it('refuses the send that is one too many, and drops none that waits', async () => {
    const executor = new HeldExecutor();
    const writer = new MessageWriter(executor, new Hub(), new EventLog());
    const first = writer.send(aSend('first'));
    const waiting = range(10_000).map((n) => writer.send(aSend(`${n}`)));
    await assert.rejects(writer.send(aSend('one too many')), is503(/Too many/));
    assert.equal(writer.depth, 10_000);
    await executor.succeed();
    await first;
    const room = writer.send(aSend('there is room again'));
    while (executor.running > 0) await executor.succeed();
    assert.deepEqual(
      (await Promise.all(waiting)).map((outcome) => outcome.messageId),
      range(10_000).map(String),
    );
    await room;
    assert.ok(!executor.batches.flat().includes('one too many'));
  });

  it('puts a resend of what is in the batch into the next one', async () => {
    const executor = new HeldExecutor();
    const writer = new MessageWriter(executor, new Hub(), new EventLog());
    const sent = [
      writer.send(aSend('first')),
      writer.send(aSend('a', 'x')),
      writer.send(aSend('a again', 'x')),
      writer.send(aSend('b', 'y')),
      writer.send(aSend('a a third time', 'x')),
      writer.send({ ...aSend('of another sender', 'x'), senderId: 'another' }),
      writer.send({ ...aSend('of another room', 'x'), roomId: 'another' }),
    ];
    for (let flush = 0; flush < 4; flush++) await executor.succeed();
    await Promise.all(sent);
    assert.deepEqual(executor.batches, [
      ['first'],
      ['a', 'b', 'of another sender', 'of another room'],
      ['a again'],
      ['a a third time'],
    ]);
  });

  it('lets a second flight leave when enough sends into other rooms wait, not before', async () => {
    const executor = new HeldExecutor();
    const writer = new MessageWriter(executor, new Hub(), new EventLog());
    const sent = [writer.send(aSend('first'))];
    for (const n of range(23)) sent.push(writer.send({ ...aSend(`${n}`), roomId: `r${n}` }));
    sent.push(writer.send(aSend('of the room in flight')));
    assert.equal(executor.running, 1, 'one short of being worth a flight');
    assert.equal(writer.depth, 24);
    sent.push(writer.send({ ...aSend('23'), roomId: 'r23' }));
    assert.deepEqual(executor.batches.slice(1), [range(24).map(String)]);
    for (const n of range(100)) sent.push(writer.send({ ...aSend(`third ${n}`), roomId: `s${n}` }));
    assert.equal(executor.running, 2, 'and never a third');
    await executor.succeed();
    assert.deepEqual(executor.batches[2]!.slice(0, 2), ['of the room in flight', 'third 0'], 'the parked go first');
    while (executor.running > 0) await executor.succeed();
    await Promise.all(sent);
    assert.equal(writer.depth, 0);
  });

  it('takes a whole burst after a crowd, and goes at once again when the crowd is gone', async () => {
    const executor = new HeldExecutor();
    const writer = new MessageWriter(executor, new Hub(), new EventLog());
    const sent = range(10).map((n) => writer.send(aSend(`${n}`)));
    await executor.succeed();
    await executor.succeed();
    for (const n of range(3)) sent.push(writer.send({ ...aSend(`burst ${n}`), roomId: `r${n}` }));
    assert.equal(executor.running, 0);
    await turn();
    assert.deepEqual(executor.batches.at(-1), ['burst 0', 'burst 1', 'burst 2']);
    await executor.succeed();
    sent.push(writer.send(aSend('alone')));
    assert.deepEqual(executor.batches.at(-1), ['alone']);
    await executor.succeed();
    await Promise.all(sent);
  });

  it('keeps the order of every room over flights that end in any order, and answers each send as its own', async () => {
    const seed = randomInt(2 ** 31);
    const random = seeded(seed);
    const label = `seed ${seed}`;
    const executor = new HeldExecutor();
    const writer = new MessageWriter(executor, new Hub(), new EventLog());
    const order = new Map<string, string[]>();
    const sent: Promise<void>[] = [];
    let answered = 0;
    for (let n = 0; n < 2_000; n++) {
      const roomId = `r${Math.floor(random() ** 2 * 40)}`;
      const send = { ...aSend(`${roomId} ${n}`, random() < 0.2 ? `c${Math.floor(random() * 5)}` : null), roomId };
      sent.push(
        writer.send(send).then(
          ({ messageId }) => void (assert.equal(messageId, send.content, label), answered++),
          () => void answered++,
        ),
      );
      while (executor.running > 0 && random() < 0.05) {
        assert.ok(executor.running <= 2, label);
        assert.equal(new Set(executor.rooms()).size, executor.rooms().length, `${label}: no room is in two flights`);
        await (random() < 0.1 ? executor.fail(fault()) : executor.succeed(Math.floor(random() * executor.running)));
      }
    }
    while (writer.depth > 0 || executor.running > 0) await (executor.running > 0 ? executor.succeed() : turn());
    await Promise.all(sent);
    assert.equal(answered, 2_000, label);
    assert.equal(writer.depth, 0, label);
    for (const content of executor.batches.flat()) {
      const room = content.split(' ')[0]!;
      order.set(room, [...(order.get(room) ?? []), content]);
    }
    assert.equal(executor.batches.flat().length, 2_000, label);
    // Resends of one name in one batch wait for the next, so only sends without a name are strictly in order here.
    const named = new Set(executor.named);
    for (const contents of order.values()) {
      const numbers = contents.filter((content) => !named.has(content)).map((content) => Number(content.split(' ')[1]));
      assert.deepEqual(
        numbers,
        [...numbers].sort((a, b) => a - b),
        label,
      );
    }
  });

  it('closes its connections when the application ends', async () => {
    const executor = new HeldExecutor();
    await new MessageWriter(executor, new Hub(), new EventLog()).onApplicationShutdown();
    assert.ok(executor.closed);
  });
});
