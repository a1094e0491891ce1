import { Injectable } from '@nestjs/common';
import type { Frame } from '#libs/contracts';
import { ApiError, forbidden, notFound } from '#libs/common';
import { MAX_CHANGES } from './catch-up.js';
import { Channels, mayHear } from './channels.js';
import type { Connection } from './connection.js';
import { Bundle, EncodedFrame } from './encoded-frame.js';
import { resyncFrame } from './frames.js';
import { RealtimeMetrics } from './realtime-metrics.js';
import type { Joining, RoomChannel } from './room-channel.js';
import { Sources, type MemberRoom } from './sources.js';
import { ReadTurnstile } from './read-turnstile.js';

/** What a subscription is answered with; `live` is called once the answer has been handed to the connection. */
export interface Subscribed {
  reply: { room_id: string; seq: number; recovered: boolean; frames: Frame[] };
  live: () => void;
}

/** Which rooms a connection hears, and from where on. */
@Injectable()
export class Subscriptions {
  constructor(
    private readonly channels: Channels,
    private readonly sources: Sources,
    private readonly metrics: RealtimeMetrics,
    private readonly turnstile: ReadTurnstile,
  ) {}

  /**
   * Subscribes. Frames are held from before anything is read, so that none falls between what the database answers and
   * what follows live; who may is asked after that, so that a membership that ends meanwhile is seen one way or the other.
   */
  async subscribe(connection: Connection, roomId: string, afterSeq: number | undefined): Promise<Subscribed> {
    const { clientId } = connection.principal;
    const channel = this.channels.obtain(clientId, roomId);
    const joining = channel.join(connection);
    try {
      await this.sources.rooms.requireAccess(connection.principal, roomId);
      const { seq, recovered, frames } = await this.turnstile.pass(clientId, () =>
        this.read(clientId, roomId, afterSeq),
      );
      channel.flush();
      // It may hold what was said after the end.
      if (joining.ended) throw forbidden('You are not a member of this room any more');
      channel.begin(seq);
      connection.muted?.delete(roomId);
      // Who hears the room already and asks for nothing goes on where it stood.
      const from = afterSeq === undefined ? (joining.wasAt ?? seq) : seq;
      return {
        reply: { room_id: roomId, seq: from, recovered, frames },
        live: () => this.goLive(connection, channel, joining, from),
      };
    } catch (error) {
      this.fail(connection, channel, joining, error);
      throw error;
    }
  }

  /** Stops hearing the room; a user's membership does not begin it again. Of rooms not heard nothing is kept. */
  unsubscribe(connection: Connection, roomId: string): void {
    const channel = this.channels.get(connection.principal.clientId, roomId);
    if (!channel?.has(connection)) return;
    channel.leave(connection);
    if (connection.principal.userId !== undefined) (connection.muted ??= new Set()).add(roomId);
  }

  /** Lets a new connection hear the user's rooms from now on; answers from which number on in each. */
  enter(connection: Connection, rooms: MemberRoom[]): { room_id: string; seq: number }[] {
    const { clientId } = connection.principal;
    return rooms.map(({ roomId, seq }) => {
      const channel = this.channels.obtain(clientId, roomId);
      channel.begin(seq);
      const from = Math.max(seq, channel.flushed);
      channel.attach(connection, from);
      return { room_id: roomId, seq: from };
    });
  }

  /** Rooms the user is in and the connection does not hear, though it should: it is told what it missed. */
  async recover(connection: Connection, rooms: MemberRoom[]): Promise<void> {
    const { clientId } = connection.principal;
    for (const { roomId, since } of rooms) {
      if (connection.closed || !mayHear(connection) || connection.muted?.has(roomId)) continue;
      const channel = this.channels.obtain(clientId, roomId);
      if (channel.has(connection)) continue;
      const joining = channel.join(connection);
      const after = Math.max(0, since - 1);
      const { seq, recovered, frames } = await this.turnstile
        .pass(clientId, () => this.read(clientId, roomId, after))
        .catch((error: unknown) => {
          this.fail(connection, channel, joining, error);
          throw error;
        });
      channel.begin(seq);
      if (!recovered) connection.send(resyncFrame(roomId, after));
      if (frames.length > 0) connection.enqueue(new Bundle(frames.map(EncodedFrame.of)));
      this.goLive(connection, channel, joining, seq);
    }
  }

  /** The room's number is read first: changes read after it are complete up to it at least. */
  private async read(
    clientId: string,
    roomId: string,
    afterSeq: number | undefined,
  ): Promise<{ seq: number; recovered: boolean; frames: Frame[] }> {
    const [room] = await this.sources.rooms.positions([{ clientId, roomId }]);
    if (!room) throw notFound('Room');
    if (afterSeq === undefined) return { seq: room.seq, recovered: true, frames: [] };
    // The client knows of more than there is: a database was restored, and the client starts anew.
    if (afterSeq > room.seq) return { seq: room.seq, recovered: false, frames: [] };
    const frames = await this.sources.changes.changes(clientId, roomId, afterSeq, MAX_CHANGES + 1);
    if (frames.length > MAX_CHANGES) return { seq: room.seq, recovered: false, frames: [] };
    return { seq: Math.max(room.seq, frames.at(-1)?.seq ?? 0), recovered: true, frames };
  }

  /**
   * Whoever heard the room already goes on hearing it when the database did not answer, or hears the end of it; whoever
   * has joined it meanwhile hears it from then on.
   */
  private fail(connection: Connection, channel: RoomChannel, joining: Joining, error: unknown): void {
    channel.flush();
    const { wasAt, since, ended } = joining;
    const refused = error instanceof ApiError && error.status < 500;
    const from = refused && since === undefined && !ended ? undefined : (wasAt ?? (since && since - 1));
    if (from === undefined) channel.abandon(connection, joining);
    else this.goLive(connection, channel, joining, from);
  }

  private goLive(connection: Connection, channel: RoomChannel, joining: Joining, from: number): void {
    if (channel.live(connection, joining, from) !== 'lost') return;
    this.metrics.resyncs.inc();
    connection.send(resyncFrame(channel.roomId, from));
  }
}

/** Throws when a key may not hear rooms. */
export function requireHearing(connection: Connection): void {
  if (!mayHear(connection)) throw forbidden('This key lacks the scope messages:read');
}
