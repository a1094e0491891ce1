import { setTimeout as delay } from 'node:timers/promises';
import type { Server } from 'node:http';
import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationShutdown } from '@nestjs/common';
import { Authority } from './authority.js';
import { GOING_AWAY } from './close-codes.js';
import { Commands } from './commands.js';
import { Connections } from './connections.js';
import { PlainServer } from './plain-server.js';
import { SHARED_STATE, type SharedState } from './shared-state.js';
import { SocketIoServer } from './socketio-server.js';
import { Timings } from './timings.js';

/** Both transports on the application's HTTP server, from start to stop. */
@Injectable()
export class SocketServer implements BeforeApplicationShutdown, OnApplicationShutdown {
  private sweeper: NodeJS.Timeout | undefined;

  constructor(
    private readonly plain: PlainServer,
    private readonly socketIo: SocketIoServer,
    private readonly commands: Commands,
    private readonly connections: Connections,
    private readonly authority: Authority,
    private readonly timings: Timings,
    @Inject(SHARED_STATE) private readonly state: SharedState,
  ) {}

  /** Serves sockets from now on. A process without an HTTP server never calls this and only publishes. */
  attach(http: Server): void {
    this.authority.start();
    this.socketIo.attach(http);
    this.plain.attach(http);
    this.sweeper = setInterval(() => this.sweep(), this.timings.sweepMs).unref();
  }

  /** Running commands are answered, then everyone is told to come back elsewhere. */
  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.sweeper);
    this.commands.draining = true;
    const end = performance.now() + this.timings.drainMs;
    while (this.commands.active > 0 && performance.now() < end) await delay(10);
    for (const connection of [...this.connections.all]) connection.end(GOING_AWAY);
    const goodbye = performance.now() + this.timings.goodbyeMs;
    while (this.socketIo.open > 0 && performance.now() < goodbye) await delay(10);
    this.plain.close();
    this.socketIo.close();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.state.stop();
  }

  private sweep(): void {
    // A key ends by the calendar; silence is measured, whatever the clock is set to.
    const [date, now] = [Date.now(), performance.now()];
    const { pingMs, silentMs } = this.timings;
    for (const connection of this.connections.all) {
      this.authority.expire(connection, date);
      if (!connection.closed) connection.probe(now, pingMs, silentMs);
    }
  }
}
