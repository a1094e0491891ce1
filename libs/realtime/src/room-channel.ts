import type { Connection } from './connection.js';
import { Bundle, EncodedFrame } from './encoded-frame.js';
import type { Outbox } from './outbox.js';
import type { RealtimeMetrics } from './realtime-metrics.js';
import type { FrameOrder } from './sequencer.js';

const MAX_HELD = 5_000;

/** A subscription whose answer is being read: what comes meanwhile is kept for after it. */
export class Joining {
  held: EncodedFrame[] = [];
  /** More came than is kept. */
  overflowed = false;
  /** The membership ended meanwhile, and has not begun again. */
  ended = false;
  /** The number of the user's joining, when it joined meanwhile. */
  since: number | undefined;
  /** What came up to here is not among what is kept. */
  skippedTo = 0;

  constructor(
    /** Where the connection stood when it heard the room already. */
    readonly wasAt: number | undefined,
  ) {}

  /** Keeps a frame; nothing of a room the user is not in any more. */
  hold(frame: EncodedFrame): void {
    if (this.ended) return;
    if (this.held.length >= MAX_HELD) this.overflowed = true;
    else this.held.push(frame);
  }

  /** Takes the place of this one, with what it has kept. */
  anew(): Joining {
    const { held, overflowed, ended, since, skippedTo } = this;
    return Object.assign(new Joining(this.wasAt), { held: [...held], overflowed, ended, since, skippedTo });
  }
}

/** Names a room over all tenants. */
export function roomKey(clientId: string, roomId: string): string {
  return `${clientId}:${roomId}`;
}

/** What a channel asks of its surroundings. */
export interface ChannelKeeper {
  /** Called for a membership's beginning and end as the frame goes out. */
  joined(channel: RoomChannel, frame: EncodedFrame): void;
  left(channel: RoomChannel, frame: EncodedFrame): void;
  /** Its number is known: from here on it can be compared with the database. */
  begun(channel: RoomChannel): void;
  /** Nobody listens any more. */
  emptied(channel: RoomChannel): void;
}

/** A room in this process: who hears it, and the order in which it is heard. */
export class RoomChannel {
  /** Handed to connections up to here. */
  flushed = 0;
  /** Something is read from the database for it. */
  filling = false;
  holeTimer: NodeJS.Timeout | undefined;
  gone = false;
  /** Names the room over all tenants. */
  readonly key: string;
  /** A number means live: frames up to it are not for this connection. */
  private readonly subscribers = new Map<Connection, number | Joining>();
  private ready: EncodedFrame[] = [];
  private flushing = false;
  /** No subscriber has a higher number. */
  private ceiling = 0;

  constructor(
    readonly clientId: string,
    readonly roomId: string,
    readonly order: FrameOrder,
    private readonly keeper: ChannelKeeper,
    private readonly outbox: Outbox,
    private readonly metrics: RealtimeMetrics,
  ) {
    this.key = roomKey(clientId, roomId);
  }

  /** The connections, whatever their state. */
  get connections(): IterableIterator<Connection> {
    return this.subscribers.keys();
  }

  get size(): number {
    return this.subscribers.size;
  }

  has(connection: Connection): boolean {
    return this.subscribers.has(connection);
  }

  /** Whether the connection hears what is of the moment: not before it is live. */
  tells(connection: Connection): boolean {
    return typeof this.subscribers.get(connection) === 'number';
  }

  /** The room's number is known: everything after it is for those who hear the room. */
  begin(position: number): void {
    if (this.order.position !== undefined) return;
    this.flushed = Math.max(this.flushed, position);
    this.skippedTo(position);
    this.release(this.order.start(position));
    this.keeper.begun(this);
  }

  /** Goes on at a number without what came before it. */
  skipTo(position: number): void {
    this.flush();
    const frames = this.order.fill([], position);
    this.flushed = Math.max(this.flushed, position);
    this.skippedTo(position);
    this.release(frames);
  }

  /** Frames in order; they leave at the end of the tick. */
  release(frames: EncodedFrame[]): void {
    if (frames.length === 0 || this.gone) return;
    if (this.ready.length === 0) {
      this.ready = frames;
      this.outbox.addRoom(this);
    } else {
      for (const frame of frames) this.ready.push(frame);
    }
  }

  /** A frame without a number, to all but one user's sockets. */
  tell(frame: EncodedFrame, exceptUserId?: string): void {
    // It may be about what has just been released.
    if (this.ready.length > 0) this.flush();
    const bundle = new Bundle([frame]);
    for (const [connection, state] of this.subscribers) {
      if (typeof state !== 'number') continue;
      if (exceptUserId === undefined || connection.principal.userId !== exceptUserId) connection.enqueue(bundle);
    }
  }

  /** From now on what comes is kept for the connection. */
  join(connection: Connection): Joining {
    const before = this.subscribers.get(connection);
    const joining =
      before instanceof Joining
        ? before.anew()
        : new Joining(before === undefined ? undefined : Math.max(before, this.flushed));
    this.subscribers.set(connection, joining);
    connection.rooms.add(this);
    return joining;
  }

  /** The subscription came to nothing; another one that took its place stays. */
  abandon(connection: Connection, joining: Joining): void {
    if (this.subscribers.get(connection) === joining) this.leave(connection);
  }

  /** The connection has everything up to `from`; the rest follows. Nothing when the subscription was replaced or ended. */
  live(connection: Connection, joining: Joining, from: number): 'live' | 'lost' | 'gone' {
    if (this.subscribers.get(connection) !== joining) return 'gone';
    if (joining.overflowed || from < joining.skippedTo) {
      this.leave(connection);
      return 'lost';
    }
    const frames = joining.held.filter((frame) => frame.seq > from);
    if (frames.length > 0) connection.enqueue(new Bundle(frames));
    if (joining.ended) {
      this.leave(connection);
      return 'gone';
    }
    this.attach(connection, frames.at(-1)?.seq ?? from);
    return 'live';
  }

  /** Live at once: the connection hears everything after `from`. */
  attach(connection: Connection, from: number): void {
    this.subscribers.set(connection, from);
    if (from > this.ceiling) this.ceiling = from;
    connection.rooms.add(this);
  }

  /** The user joins the room: hears it from the joining on, or when what it has asked for is answered. */
  admit(connection: Connection, seq: number): void {
    const state = this.subscribers.get(connection);
    if (state === undefined) return this.attach(connection, seq - 1);
    if (typeof state === 'number') return;
    state.ended = false;
    state.since = seq;
  }

  leave(connection: Connection): void {
    connection.rooms.delete(this);
    // What is on its way out may be somebody's joining.
    const isIdle = !this.flushing && this.ready.length === 0;
    if (this.subscribers.delete(connection) && this.subscribers.size === 0 && isIdle) this.keeper.emptied(this);
  }

  /** Hands over what is ready; a membership that ends hears its own end and nothing after it. */
  flush(alone = false): void {
    const frames = this.ready;
    this.ready = [];
    this.flushing = true;
    let from = 0;
    for (let index = 0; index < frames.length; index++) {
      const frame = frames[index]!;
      if (frame.memberId === undefined) continue;
      if (frame.type === 'user_joined') {
        this.deliver(frames.slice(from, index));
        from = index;
        this.keeper.joined(this, frame);
      } else {
        this.deliver(frames.slice(from, index + 1));
        from = index + 1;
        this.keeper.left(this, frame);
      }
    }
    if (from === 0) this.deliver(frames, alone);
    else this.deliver(frames.slice(from));
    this.flushing = false;
    if (this.subscribers.size === 0 && !this.gone) this.keeper.emptied(this);
  }

  /** Tells those who hear the room a last frame each, and lets them go. */
  dismiss(frame: EncodedFrame, alsoJoining: boolean): void {
    this.flush();
    const bundle = new Bundle([frame]);
    for (const [connection, state] of [...this.subscribers]) {
      if (typeof state !== 'number' && !alsoJoining) continue;
      connection.enqueue(bundle);
      this.leave(connection);
    }
  }

  /** The user's sockets leave; those that are just joining hear what came until now first. */
  expel(connection: Connection): void {
    const state = this.subscribers.get(connection);
    if (state instanceof Joining) state.ended = true;
    else this.leave(connection);
  }

  /** Those who are just joining do not get what came up to here, unless they are told it by what they have asked for. */
  private skippedTo(position: number): void {
    for (const state of this.subscribers.values()) if (state instanceof Joining) state.skippedTo = position;
  }

  private deliver(frames: EncodedFrame[], alone = false): void {
    if (frames.length === 0) return;
    const bundle = new Bundle(frames);
    const first = frames[0]!.seq;
    const whole = first > this.ceiling;
    let websocket = 0;
    let socketio = 0;
    for (const [connection, state] of this.subscribers) {
      if (typeof state !== 'number') {
        for (const frame of frames) state.hold(frame);
        continue;
      }
      const own = whole || first > state ? bundle : bundle.after(state);
      if (!own) continue;
      if (alone) connection.hand(own);
      else connection.enqueue(own);
      if (connection.transport === 'websocket') websocket += own.frames.length;
      else socketio += own.frames.length;
    }
    this.flushed = Math.max(this.flushed, frames.at(-1)!.seq);
    if (websocket > 0) this.metrics.frames.inc({ transport: 'websocket' }, websocket);
    if (socketio > 0) this.metrics.frames.inc({ transport: 'socketio' }, socketio);
  }
}
