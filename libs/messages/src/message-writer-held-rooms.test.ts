import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EventLog } from '#libs/events';
import { Hub } from '#libs/realtime';
import { until } from '../../../test/support/concurrency.js';
import { MessageWriter } from './message-writer.js';
import { aSend, fault, HeldExecutor, is503, outcomeOf, range, RuleExecutor } from './message-writer.test-support.js';

describe('MessageWriter, when somebody holds a room', () => {
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
});
