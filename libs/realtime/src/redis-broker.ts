import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { Redis } from 'ioredis';
import type { Broker, BrokerListener, ClientWord, RoomWord, WireFrame } from './broker.js';
import { roomKey } from './room-channel.js';

const ROOM = 'chatapi:room:';
const CLIENT = 'chatapi:client:';
const SUBSCRIBE_BATCH = 1_000;

/** Options of a connection that never makes anyone wait for a Redis that is not there. */
export function redisOptions() {
  return {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    connectTimeout: 2_000,
    retryStrategy: (times: number) => Math.min(times * 100, 1_000),
  } as const;
}

/**
 * Redis publish/subscribe: a channel per room and per tenant, heard only where someone local needs it. A word is one
 * line of JSON about its frames, then each frame's JSON on a line of its own, passed on to sockets as it is.
 */
export class RedisBroker implements Broker {
  readonly shared = true;
  private readonly logger = new Logger('RedisBroker');
  private readonly origin = randomUUID();
  private readonly watched = new Set<string>();
  private readonly publisher: Redis;
  private readonly subscriber: Redis;
  private listener: BrokerListener | undefined;
  private hearing = false;
  private down = false;

  constructor(url: string) {
    this.publisher = new Redis(url, { ...redisOptions(), lazyConnect: true, enableAutoPipelining: true });
    this.subscriber = new Redis(url, { ...redisOptions(), lazyConnect: true, autoResubscribe: false });
    for (const redis of [this.publisher, this.subscriber]) redis.on('error', () => this.lost());
    this.subscriber.on('close', () => this.lost());
    this.subscriber.on('ready', () => void this.resume());
    this.subscriber.on('message', (channel: string, text: string) => this.hear(channel, text));
  }

  get live(): boolean {
    return this.hearing && this.publisher.status === 'ready';
  }

  async start(listener: BrokerListener): Promise<void> {
    this.listener = listener;
    await Promise.all([this.publisher, this.subscriber].map((redis) => redis.connect().catch(() => undefined)));
  }

  stop(): Promise<void> {
    this.hearing = false;
    this.listener = undefined;
    this.publisher.disconnect();
    this.subscriber.disconnect();
    return Promise.resolve();
  }

  say(word: RoomWord | ClientWord): void {
    if (this.publisher.status !== 'ready') return;
    const channel =
      'roomId' in word && word.kind !== 'joined' ? ROOM + roomKey(word.clientId, word.roomId) : CLIENT + word.clientId;
    this.publisher.publish(channel, encode(this.origin, word)).catch(() => undefined);
  }

  watchRoom(key: string): Promise<void> {
    return this.watch(ROOM + key);
  }

  unwatchRoom(key: string): void {
    this.unwatch(ROOM + key);
  }

  watchClient(clientId: string): Promise<void> {
    return this.watch(CLIENT + clientId);
  }

  unwatchClient(clientId: string): void {
    this.unwatch(CLIENT + clientId);
  }

  private async watch(channel: string): Promise<void> {
    this.watched.add(channel);
    if (this.hearing) await this.subscriber.subscribe(channel).catch(() => undefined);
  }

  private unwatch(channel: string): void {
    if (this.watched.delete(channel) && this.hearing) this.subscriber.unsubscribe(channel).catch(() => undefined);
  }

  private lost(): void {
    this.hearing = false;
    if (this.down || !this.listener) return;
    this.down = true;
    this.logger.warn('Redis does not answer: frames of other processes are read from the database until it does');
  }

  /** Hears everything again; what was said meanwhile is found in the database. */
  private async resume(): Promise<void> {
    try {
      // New watchers subscribe by themselves from here on; those before are all in the list.
      this.hearing = true;
      const channels = [...this.watched];
      for (let from = 0; from < channels.length; from += SUBSCRIBE_BATCH) {
        await this.subscriber.subscribe(...channels.slice(from, from + SUBSCRIBE_BATCH));
      }
      if (this.down) this.logger.log('Redis answers again');
      this.down = false;
      this.listener?.caughtUp();
    } catch {
      this.lost();
    }
  }

  private hear(channel: string, text: string): void {
    const word = decode(this.origin, text);
    if (!word || !this.listener) return;
    if (channel.startsWith(ROOM)) this.listener.roomWord(word as RoomWord);
    else this.listener.clientWord(word as ClientWord);
  }
}

interface Header {
  origin: string;
  word: Record<string, unknown>;
  frames: Omit<WireFrame, 'json'>[];
}

function encode(origin: string, word: RoomWord | ClientWord): string {
  const frames = word.kind === 'changes' ? word.frames : word.kind === 'erased' ? [] : [word.frame];
  const header: Header = {
    origin,
    word: { ...word, frames: undefined, frame: undefined },
    frames: frames.map(({ type, seq, memberId }) => ({ type, seq, memberId })),
  };
  return [JSON.stringify(header), ...frames.map((frame) => frame.json)].join('\n');
}

/** Undefined for a word of our own, and for one that is not ours at all. */
function decode(origin: string, text: string): RoomWord | ClientWord | undefined {
  const lines = text.split('\n');
  let header: Header;
  try {
    header = JSON.parse(lines[0]!) as Header;
  } catch {
    return undefined;
  }
  if (header.origin === origin) return undefined;
  const frames = header.frames.map((frame, index) => ({ ...frame, json: lines[index + 1]! }));
  return { ...header.word, frames, frame: frames[0] } as unknown as RoomWord | ClientWord;
}
