import assert from 'node:assert/strict';
import { ApiError } from '#libs/common';
import type { MessageSend, SendOutcome } from './message-sends.js';
import type { SendExecutor } from './message-writer.js';

const ROOM = 'room';

/** A send of the user into the room. */
export function aSend(content: string, clientMessageId: string | null = null): MessageSend {
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
export class HeldExecutor implements SendExecutor {
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
export class RuleExecutor implements SendExecutor {
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

/** What a stored send comes to: its content stands for its id. */
export function outcomeOf(send: MessageSend): SendOutcome {
  return { verdict: 'created', messageId: send.content, message: undefined, logged: false };
}

/** What the driver throws: PostgreSQL's code, the network's, or none. */
export function fault(code?: string): Error {
  return Object.assign(new Error('Connection terminated unexpectedly'), code ? { code } : {});
}

/** Lets what is settled be heard. */
export const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** From 0 to n - 1. */
export const range = (n: number) => Array.from({ length: n }, (_, index) => index);

/** For `assert.rejects` and rejected results: a 503 of these words that says when to come back. */
export function is503(words: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof ApiError, String(error));
    assert.equal(error.status, 503);
    assert.match(error.message, words);
    assert.ok(error.retryAfterSeconds! >= 1);
    return true;
  };
}
