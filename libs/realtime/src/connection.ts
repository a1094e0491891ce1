import type { OpenKey, Principal } from '#libs/security';
import type { Closing } from './close-codes.js';
import { Bundle, EncodedFrame } from './encoded-frame.js';
import { errorFrame, type Fault } from './frames.js';
import type { Outbox } from './outbox.js';
import type { RoomChannel } from './room-channel.js';

/** How a connection speaks. */
export type Transport = 'websocket' | 'socketio';

/** Where connections live. */
export interface ConnectionHost {
  readonly outbox: Outbox;
  /** Called once for each. */
  closed(connection: Connection): void;
}

let made = 0;

/** One socket of a client or user, whichever way it came. Frames leave in the order they were given. */
export abstract class Connection {
  abstract readonly transport: Transport;
  readonly id = ++made;
  principal: Principal;
  readonly keyPublicId: string;
  /** Unix milliseconds when the key ends. */
  expiresAt: number | undefined;
  /** The rooms it hears. */
  readonly rooms = new Set<RoomChannel>();
  /** Rooms of the user it does not want to hear. */
  muted: Set<string> | undefined;
  /** True from `connection_status` on. */
  welcomed = false;
  /** The user counts as online because of it. */
  present = false;
  /** A membership of the user changed before it was welcomed. */
  stale = false;
  closed = false;
  /** Commands that came before the welcome. */
  early: (() => void)[] | undefined;
  /** Commands that are running. */
  running = 0;
  /** Flood watch: the second, commands in it, and how many seconds before were too full. */
  second = 0;
  commandsInSecond = 0;
  floodedSeconds = 0;
  /** Waits for the end of the tick. */
  private outgoing: Bundle[] | undefined;
  /** Bytes of answers the client asked for: not its slowness until it has had the time to read them. */
  private granted = 0;
  private grantNext = 0;

  constructor(
    key: OpenKey,
    private readonly host: ConnectionHost,
  ) {
    this.principal = key.principal;
    this.keyPublicId = key.publicId;
    this.expiresAt = key.expiresAt;
  }

  /** A frame to this connection alone. */
  send(frame: EncodedFrame): void {
    this.enqueue(new Bundle([frame]));
  }

  /** Frames that may go to others too. */
  enqueue(bundle: Bundle): void {
    if (this.closed) return;
    if (this.outgoing) this.outgoing.push(bundle);
    else {
      this.outgoing = [bundle];
      this.host.outbox.add(this);
    }
  }

  /** Writes what waits, at once. */
  flush(): void {
    const bundles = this.outgoing;
    if (!bundles || this.closed) return;
    this.outgoing = undefined;
    if (!this.keepsUp()) return;
    if (bundles.length === 1) this.write(bundles[0]!);
    else this.writeAll(bundles);
    this.granted += this.grantNext;
    this.grantNext = 0;
  }

  /** The only thing this connection is told in this tick; behind what waits, when something does. */
  hand(bundle: Bundle): void {
    if (this.outgoing || this.closed) this.enqueue(bundle);
    else if (this.keepsUp()) this.write(bundle);
  }

  /** Says why, then ends it. */
  end(closing: Closing): void {
    if (this.closed) return;
    const why = errorFrame({ code: closing.errorCode, detail: closing.detail, closeCode: closing.code });
    const bundles = [...(this.outgoing ?? []), new Bundle([why])];
    this.outgoing = undefined;
    this.writeAll(bundles);
    this.lost();
    this.shut(closing);
  }

  /** The transport is gone. */
  lost(): void {
    if (this.closed) return;
    this.closed = true;
    this.outgoing = undefined;
    this.host.closed(this);
  }

  /** Asks a silent peer whether it is there, `now` by `performance.now()`; what the transport does by itself needs nothing. */
  probe(_now: number, _pingMs: number, _silentMs: number): void {
    // Socket.IO has its own heartbeat.
  }

  /** Answers a command. */
  abstract answer(handle: ReplyHandle, data: unknown): void;

  /** Refuses a command. */
  abstract refuse(handle: ReplyHandle, fault: Fault): void;

  /** Bytes written and not yet taken by the network. */
  abstract get buffered(): number;

  /** Bytes of an answer that the limit of the buffer does not count. */
  protected grant(bytes: number): void {
    this.grantNext += bytes;
  }

  protected abstract write(bundle: Bundle): void;

  /** Several in one write. */
  protected abstract writeAll(bundles: Bundle[]): void;

  protected abstract shut(closing: Closing): void;

  /** Ends the connection when its reader is too slow. */
  private keepsUp(): boolean {
    const { buffered } = this;
    if (buffered === 0) this.granted = 0;
    else {
      if (buffered < this.granted) this.granted = buffered;
      if (buffered - this.granted > this.host.outbox.maxBuffered) {
        this.host.outbox.tooSlow(this);
        return false;
      }
    }
    return true;
  }
}

/** What an answer needs to find its question: the client's `ref`, or Socket.IO's callback. */
export interface ReplyHandle {
  ref: string | number | undefined;
  acknowledge: ((reply: object) => void) | undefined;
}
