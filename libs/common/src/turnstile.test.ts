import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FairTurnstile } from './turnstile.js';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('FairTurnstile', () => {
  it('lets so many pass at a time, those of one tenant in order, and no crowd of one before the first of another', async () => {
    const turnstile = new FairTurnstile(2);
    const order: string[] = [];
    const ends: (() => void)[] = [];
    const pass = (clientId: string, name: string) =>
      turnstile.pass(clientId, () => {
        order.push(name);
        return new Promise<void>((resolve) => ends.push(resolve));
      });
    const all = ['a1', 'a2', 'a3', 'a4', 'a5', 'b1', 'b2', 'c1'].map((name) => pass(name[0]!, name));
    await turn();
    assert.deepEqual(order, ['a1', 'a2']);
    while (ends.length > 0) {
      ends.shift()!();
      await turn();
    }
    await Promise.all(all);
    assert.deepEqual(order, ['a1', 'a2', 'a3', 'b1', 'c1', 'a4', 'b2', 'a5']);
  });

  it('hands on the place of work that fails', async () => {
    const turnstile = new FairTurnstile(1);
    const failing = turnstile.pass('a', () => Promise.reject(new Error('no')));
    const next = turnstile.pass('a', () => Promise.resolve('through'));
    await assert.rejects(failing, /no/);
    assert.equal(await next, 'through');
    assert.equal(await turnstile.pass('b', () => Promise.resolve('and again')), 'and again');
  });
});
