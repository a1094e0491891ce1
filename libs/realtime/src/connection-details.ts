import { Inject, Injectable } from '@nestjs/common';
import { CONFIG, type Config } from '#libs/config';
import type { Principal } from '#libs/security';
import { OPEN_PATH, SOCKETIO_PATH } from './plain-server.js';
import { Tickets } from './tickets.js';
import { TRANSPORTS, type WebsocketOpenDto } from './websocket.dto.js';

/** What a client needs to know to connect. */
@Injectable()
export class ConnectionDetails {
  constructor(
    private readonly tickets: Tickets,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** Addresses, and a ticket for the caller's key. */
  of(caller: Principal): WebsocketOpenDto {
    const { ticket, expiresAt } = this.tickets.issue(caller);
    const base = new URL(this.config.publicUrl);
    return {
      url: `${base.protocol === 'https:' ? 'wss' : 'ws'}://${base.host}${OPEN_PATH}`,
      ticket,
      expires_at: expiresAt.toISOString(),
      socketio: { url: base.origin, path: SOCKETIO_PATH },
      protocols: [...TRANSPORTS],
    };
  }
}
