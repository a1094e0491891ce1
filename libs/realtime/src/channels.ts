import { Inject, Injectable } from '@nestjs/common';
import { BROKER, type Broker, type RoomWord, type WireFrame } from './broker.js';
import { CatchUp, roomDeletedFrame } from './catch-up.js';
import type { Connection } from './connection.js';
import { Connections } from './connections.js';
import { EncodedFrame } from './encoded-frame.js';
import type { HubListener, RoomChange, RoomTelling } from './hub.js';
import { Outbox } from './outbox.js';
import { RealtimeMetrics } from './realtime-metrics.js';
import { RoomChannel, roomKey, type ChannelKeeper } from './room-channel.js';
import { Sequencer, type FrameOrder } from './sequencer.js';

/** The rooms someone here hears. What is committed comes in from the hub and from other processes, and goes out in order. */
@Injectable()
export class Channels implements HubListener, ChannelKeeper {
  /** Tests put a broken order in its place. */
  newOrder: () => FrameOrder = () => new Sequencer();
  private readonly rooms = new Map<string, RoomChannel>();

  constructor(
    @Inject(BROKER) private readonly broker: Broker,
    private readonly connections: Connections,
    private readonly catchUp: CatchUp,
    private readonly outbox: Outbox,
    private readonly metrics: RealtimeMetrics,
  ) {}

  /** The rooms heard here. */
  all(): IterableIterator<RoomChannel> {
    return this.rooms.values();
  }

  get(clientId: string, roomId: string): RoomChannel | undefined {
    return this.rooms.get(roomKey(clientId, roomId));
  }

  /** The room's channel; a new one hears other processes from now on, and is compared with the database once it does. */
  obtain(clientId: string, roomId: string): RoomChannel {
    let channel = this.get(clientId, roomId);
    if (!channel) {
      channel = new RoomChannel(clientId, roomId, this.newOrder(), this, this.outbox, this.metrics);
      this.rooms.set(channel.key, channel);
      void this.watch(channel);
    }
    return channel;
  }

  /** On the way of every send: costs next to nothing when nobody here or elsewhere can be listening. */
  changed(changes: RoomChange[]): void {
    const { shared } = this.broker;
    if (!shared && this.connections.all.size === 0) return;
    let told: Map<string, RoomWord & { kind: 'changes' }> | undefined;
    for (const { clientId, roomId, frame } of changes) {
      if (!shared && frame.type !== 'user_joined' && !this.rooms.has(roomKey(clientId, roomId))) continue;
      const encoded = EncodedFrame.of(frame);
      this.offer(clientId, roomId, encoded);
      if (!shared) continue;
      if (encoded.type === 'user_joined') this.broker.say({ kind: 'joined', clientId, roomId, frame: wire(encoded) });
      const key = roomKey(clientId, roomId);
      const word = (told ??= new Map()).get(key);
      if (word) word.frames.push(wire(encoded));
      else told.set(key, { kind: 'changes', clientId, roomId, frames: [wire(encoded)] });
    }
    if (told) for (const word of told.values()) this.broker.say(word);
  }

  told({ clientId, roomId, frame, exceptUserId }: RoomTelling): void {
    const channel = this.get(clientId, roomId);
    if (!channel && !this.broker.shared) return;
    const encoded = EncodedFrame.of(frame);
    channel?.tell(encoded, exceptUserId);
    this.broker.say({ kind: 'told', clientId, roomId, frame: wire(encoded), exceptUserId });
  }

  erased(clientId: string, roomId: string): void {
    this.get(clientId, roomId)?.dismiss(roomDeletedFrame(roomId), true);
    this.broker.say({ kind: 'erased', clientId, roomId });
  }

  /** What another process says of a room. */
  roomWord(word: RoomWord): void {
    const channel = this.get(word.clientId, word.roomId);
    if (!channel) return;
    if (word.kind === 'erased') channel.dismiss(roomDeletedFrame(word.roomId), true);
    else if (word.kind === 'told') channel.tell(unwire(word.frame), word.exceptUserId);
    else for (const frame of word.frames) this.offer(word.clientId, word.roomId, unwire(frame));
  }

  /** A change, from whichever process. A user who joins hears the room from the joining on. */
  offer(clientId: string, roomId: string, frame: EncodedFrame): void {
    const isJoining = frame.type === 'user_joined' && this.connections.ofUser(clientId, frame.memberId!).length > 0;
    const channel = isJoining ? this.obtain(clientId, roomId) : this.get(clientId, roomId);
    if (!channel) return;
    if (isJoining) channel.begin(frame.seq - 1);
    channel.release(channel.order.offer(frame));
    if (channel.order.hasHole) this.catchUp.hole(channel);
  }

  joined(channel: RoomChannel, frame: EncodedFrame): void {
    for (const connection of this.connections.ofUser(channel.clientId, frame.memberId!)) {
      if (!connection.welcomed) connection.stale = true;
      else if (mayHear(connection)) channel.admit(connection, frame.seq);
    }
  }

  left(channel: RoomChannel, frame: EncodedFrame): void {
    for (const connection of this.connections.ofUser(channel.clientId, frame.memberId!)) {
      connection.muted?.delete(channel.roomId);
      if (!connection.welcomed) connection.stale = true;
      if (channel.has(connection)) channel.expel(connection);
    }
  }

  begun(channel: RoomChannel): void {
    this.catchUp.look(channel);
  }

  emptied(channel: RoomChannel): void {
    if (this.rooms.get(channel.key) !== channel) return;
    channel.gone = true;
    clearTimeout(channel.holeTimer);
    this.rooms.delete(channel.key);
    this.broker.unwatchRoom(channel.key);
  }

  /** A closed connection hears nothing any more. */
  forget(connection: Connection): void {
    for (const channel of [...connection.rooms]) channel.leave(connection);
  }

  private async watch(channel: RoomChannel): Promise<void> {
    await this.broker.watchRoom(channel.key);
    this.catchUp.look(channel);
  }
}

/** Whether a connection's key lets it hear rooms at all. */
export function mayHear({ principal }: Connection): boolean {
  return principal.scopes.has('messages:read');
}

/** A frame for other processes. */
export function wire({ type, seq, json, memberId }: EncodedFrame): WireFrame {
  return { type, seq, json, memberId };
}

/** A frame of another process. */
export function unwire({ type, seq, json, memberId }: WireFrame): EncodedFrame {
  return new EncodedFrame(type, json, seq, memberId);
}
