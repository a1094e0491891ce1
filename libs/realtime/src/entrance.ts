import { Injectable } from '@nestjs/common';
import { Authority } from './authority.js';
import { Channels } from './channels.js';
import type { Connection, ConnectionHost } from './connection.js';
import { Doorkeeper, type Credential } from './doorkeeper.js';
import { Outbox } from './outbox.js';
import { RealtimeMetrics } from './realtime-metrics.js';
import { Reception } from './reception.js';
import type { OpenKey } from '#libs/security';

/** From a credential to a connection that is greeted, and what remains to be done when it closes; for both transports. */
@Injectable()
export class Entrance implements ConnectionHost {
  constructor(
    private readonly doorkeeper: Doorkeeper,
    private readonly reception: Reception,
    private readonly authority: Authority,
    private readonly channels: Channels,
    readonly outbox: Outbox,
    private readonly metrics: RealtimeMetrics,
  ) {}

  /**
   * Checks, takes a place, makes the connection, greets it; throws what is to be told when there is none. `make` answers
   * undefined when the peer has gone.
   */
  async enter(credential: Credential, address: string, make: (key: OpenKey) => Connection | undefined): Promise<void> {
    const { version } = this.authority;
    const key = await this.check(() => this.doorkeeper.open(credential, address));
    const { clientId, id } = key.principal;
    await this.check(() => this.reception.admit(clientId, id));
    const connection = make(key);
    if (!connection) return this.reception.giveUp(clientId, id);
    this.metrics.sockets.inc({ transport: connection.transport });
    await this.reception.welcome(connection);
    // A revocation that passed while we looked has not seen this connection.
    if (version !== this.authority.version) this.authority.recheckOne(connection);
    const { early } = connection;
    connection.early = undefined;
    for (const run of early ?? []) run();
  }

  closed(connection: Connection): void {
    this.metrics.sockets.dec({ transport: connection.transport });
    this.channels.forget(connection);
    this.reception.goodbye(connection);
  }

  private async check<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const reason = (error as { code?: string }).code ?? 'unknown';
      this.metrics.refused.inc({ reason });
      throw error;
    }
  }
}
