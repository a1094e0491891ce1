import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { describe, it } from 'node:test';
import { ApiError } from '#libs/common';
import { EventLog } from '#libs/events';
import { Hub } from '#libs/realtime';
import { until } from '../../../test/support/concurrency.js';
import { seeded } from '../../../test/support/random.js';
import { MessageWriter, type SendExecutor } from './message-writer.js';
import type { MessageSend, SendOutcome } from './message-sends.js';

const ROOM = 'room';

function aSend(content: string, clientMessageId: string | null = null): MessageSend {
  return {
    clientId: 'client',
    roomId: ROOM,
    senderId: 'user',
    asMember: true,
    content,
    type: 'text',
    meta: {},
    replyTo: null,
    clientMessageId,
  };
}

/** Holds every batch until the test answers it. */
class HeldExecutor implements SendExecutor {
  readonly batches: string[][] = [];
  readonly named: string[] = [];
  /** Those of the batches that may wait longer. */
  readonly patient: string[][] = [];
  closed = false;
  private held: {
    sends: MessageSend[];
    resolve: (outcomes: SendOutcome[]) => void;
    reject: (error: unknown) => void;
  }[] = [];

  execute(sends: MessageSend[], patiently: boolean): Promise<SendOutcome[]> {
    const contents = sends.map((send) => send.content);
    this.batches.push(contents);
    if (patiently) this.patient.push(contents);
    for (const { content, clientMessageId } of sends) if (clientMessageId !== null) this.named.push(content);
    return new Promise((resolve, reject) => this.held.push({ sends, resolve, reject }));
  }

  /** Answers the nth flight under way. */
  async succeed(n = 0): Promise<void> {
    const { sends, resolve } = this.held.splice(n, 1)[0]!;
    resolve(sends.map(outcomeOf));
    await turn();
  }

  async fail(error: unknown): Promise<void> {
    this.held.shift()!.reject(error);
    await turn();
  }

  /** The rooms of every flight under way, each once per flight. */
  rooms(): string[] {
    return this.held.flatMap(({ sends }) => [...new Set(sends.map(({ roomId }) => roomId))]);
  }

  get running(): number {
    return this.held.length;
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }
}

/** Answers at once by a rule. */
class RuleExecutor implements SendExecutor {
  readonly batches: string[][] = [];

  constructor(private readonly rule: (sends: MessageSend[], run: number) => SendOutcome[]) {}

  async execute(sends: MessageSend[]): Promise<SendOutcome[]> {
    this.batches.push(sends.map((send) => send.content));
    await Promise.resolve();
    return this.rule(sends, this.batches.length);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function outcomeOf(send: MessageSend): SendOutcome {
  return { verdict: 'created', messageId: send.content, message: undefined, logged: false };
}

function fault(code?: string): Error {
  return Object.assign(new Error('Connection terminated unexpectedly'), code ? { code } : {});
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

const range = (n: number) => Array.from({ length: n }, (_, index) => index);

function is503(words: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof ApiError, String(error));
    assert.equal(error.status, 503);
    assert.match(error.message, words);
    assert.ok(error.retryAfterSeconds! >= 1);
    return true;
  };
}

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

  it('stores what came with sends into a room that somebody holds, and waits once more for these', async () => {
    const executor = new RuleExecutor((sends) => {
      if (sends.some((send) => send.roomId === 'held')) throw fault('55P03');
      return sends.map(outcomeOf);
    });
    const writer = new MessageWriter(executor, new Hub(), new EventLog());
    const to = (roomId: string, content: string) => writer.send({ ...aSend(content), roomId });
    const sent = [to('first', '1'), to('held', 'a'), to('free', 'b'), to('held', 'c'), to('free', 'd')];
    const results = await Promise.allSettled(sent);
    assert.deepEqual(
      results.map((result) => result.status),
      ['fulfilled', 'rejected', 'fulfilled', 'rejected', 'fulfilled'],
    );
    for (const n of [1, 3]) is503(/being changed/)((results[n] as PromiseRejectedResult).reason);
    assert.deepEqual(executor.batches, [['1'], ['a', 'b', 'c', 'd'], ['a', 'c'], ['b', 'd'], ['a', 'c']]);
  });

  it('keeps the order in a room that somebody holds, and lets all others leave meanwhile', async () => {
    const executor = new HeldExecutor();
    const writer = new MessageWriter(executor, new Hub(), new EventLog());
    const to = (roomId: string, content: string) => writer.send({ ...aSend(content), roomId });
    const sent = [to('held', 'a')];
    await executor.fail(fault('55P03'));
    assert.deepEqual(executor.patient, [['a']]);
    sent.push(to('held', 'b'), to('free', 'c'));
    assert.deepEqual(executor.batches.at(-1), ['c']);
    await executor.succeed(1);
    await executor.succeed(0);
    assert.deepEqual(executor.batches.at(-1), ['b']);
    await executor.succeed();
    assert.deepEqual(
      (await Promise.all(sent)).map((outcome) => outcome.messageId),
      ['a', 'b', 'c'],
    );
  });

  it('lets no later send of the room overtake one that waits, when a bad row has set them apart', async () => {
    const executor = new HeldExecutor();
    const writer = new MessageWriter(executor, new Hub(), new EventLog());
    const sent = ['first', 'a', 'bad', 'b'].map((content) => writer.send(aSend(content)));
    const settled = Promise.allSettled(sent);
    await executor.succeed();
    await executor.fail(fault('23514'));
    await executor.fail(fault('55P03'));
    assert.deepEqual(executor.patient, [['a', 'bad', 'b']]);
    await executor.fail(fault('23514'));
    for (const code of [undefined, '23514', undefined]) {
      if (code) await executor.fail(fault(code));
      else await executor.succeed();
    }
    assert.deepEqual(executor.batches.slice(-3), [['a'], ['bad'], ['b']]);
    assert.deepEqual(
      (await settled).map(({ status }) => status),
      ['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
    );
  });

  it('waits for a room no longer than one patience, whatever sets its sends apart, nor does what has arrived meanwhile', async () => {
    const executor = new HeldExecutor();
    const writer = new MessageWriter(executor, new Hub(), new EventLog());
    const sent = ['first', 'a', 'b', 'c'].map((content) => writer.send(aSend(content)));
    await executor.succeed();
    await executor.fail(fault('55P03'));
    sent.push(writer.send(aSend('d')));
    const settled = Promise.allSettled(sent);
    await executor.fail(fault('23514'));
    await executor.succeed();
    assert.equal(writer.depth, 1);
    await executor.fail(fault('55P03'));
    assert.deepEqual(executor.patient, [['a', 'b', 'c'], ['a'], ['b']]);
    const results = await settled;
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'fulfilled', 'rejected', 'rejected', 'rejected'],
    );
    for (const n of [2, 3, 4]) is503(/being changed/)((results[n] as PromiseRejectedResult).reason);
    assert.deepEqual([writer.depth, executor.running], [0, 0]);
    assert.equal((await Promise.all([writer.send(aSend('next')), executor.succeed()]))[0].messageId, 'next');
  });

  it('waits for all rooms that are held at once, and longer for four of them', async () => {
    const executor = new HeldExecutor();
    const writer = new MessageWriter(executor, new Hub(), new EventLog());
    const sent = [writer.send(aSend('first'))];
    for (const n of range(5)) sent.push(writer.send({ ...aSend(`${n}`), roomId: `held ${n}` }));
    const settled = Promise.allSettled(sent);
    await executor.succeed();
    await executor.fail(fault('55P03'));
    assert.equal(executor.running, 5);
    for (const _ of range(5)) await executor.fail(fault('55P03'));
    assert.deepEqual(executor.patient, [['0'], ['1'], ['2'], ['3']]);
    for (const _ of range(4)) await executor.succeed();
    const results = await settled;
    assert.deepEqual(
      results.map(({ status }) => status),
      [...range(5).map(() => 'fulfilled'), 'rejected'],
    );
    is503(/being changed/)((results[5] as PromiseRejectedResult).reason);
    assert.equal((await Promise.all([writer.send(aSend('next')), executor.succeed()]))[0].messageId, 'next');
  });

  it('lets a lone send leave beside flights that are held up, and holds what goes to their rooms', async () => {
    const executor = new HeldExecutor();
    const writer = new MessageWriter(executor, new Hub(), new EventLog());
    const to = (roomId: string, content: string) => void writer.send({ ...aSend(content), roomId });
    for (const n of [1, 2, 3]) {
      to(`held ${n}`, `${n}`);
      to('held 1', `parked ${n}`);
      await until('it has left', () => executor.running === n);
    }
    to('free', 'free');
    await until('it has left', () => executor.running === 4);
    await executor.succeed(3);
    assert.deepEqual(executor.batches, [['1'], ['2'], ['3'], ['free']]);
    await executor.succeed(0);
    await until('what was parked has left', () => executor.running === 3);
    assert.deepEqual(executor.batches[4], ['parked 1', 'parked 2', 'parked 3']);
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
