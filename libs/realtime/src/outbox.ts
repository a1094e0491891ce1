import { Injectable } from '@nestjs/common';
import type { Connection } from './connection.js';
import { TOO_SLOW } from './close-codes.js';
import { RealtimeMetrics } from './realtime-metrics.js';
import { Timings } from './timings.js';

/** A room whose frames wait for the end of the tick. */
export interface Flushable {
  /** With `alone` no other room has anything in this tick. */
  flush(alone: boolean): void;
}

/**
 * Everything told in one turn of the event loop leaves in one write per connection: the system call is what a
 * delivery costs (docs/performance.md).
 */
@Injectable()
export class Outbox {
  private rooms: Flushable[] = [];
  private connections: Connection[] = [];
  private scheduled = false;

  constructor(
    private readonly timings: Timings,
    private readonly metrics: RealtimeMetrics,
  ) {}

  get maxBuffered(): number {
    return this.timings.maxBuffered;
  }

  /** A connection has something to write. */
  add(connection: Connection): void {
    this.connections.push(connection);
    this.schedule();
  }

  /** A room has something to hand to its connections. */
  addRoom(room: Flushable): void {
    this.rooms.push(room);
    this.schedule();
  }

  /** The reader does not keep up. */
  tooSlow(connection: Connection): void {
    this.metrics.tooSlow.inc();
    connection.end(TOO_SLOW);
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => this.flush());
  }

  private flush(): void {
    const { rooms } = this;
    this.rooms = [];
    for (const room of rooms) room.flush(rooms.length === 1);
    const { connections } = this;
    this.connections = [];
    this.scheduled = false;
    for (const connection of connections) connection.flush();
    if (this.rooms.length > 0 || this.connections.length > 0) this.schedule();
  }
}
