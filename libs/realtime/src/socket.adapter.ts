import type { Server } from 'node:http';
import type { WebSocketAdapter, WsMessageHandler } from '@nestjs/common';
import { Commands } from './commands.js';
import { SocketServer } from './socket-server.js';

type Bind = (client: object) => void;

/**
 * Nest's gateways over both transports. Their handlers are bound once, not once per connection: a command carries its
 * connection with it, so an idle connection costs nothing here.
 */
export class SocketAdapter implements WebSocketAdapter<object, object> {
  private readonly everyConnection = {};
  private attached = false;

  constructor(
    private readonly http: Server,
    private readonly sockets: SocketServer,
    private readonly commands: Commands,
  ) {}

  create(): object {
    if (!this.attached) this.sockets.attach(this.http);
    this.attached = true;
    return this.sockets;
  }

  bindClientConnect(_server: object, callback: unknown): void {
    (callback as Bind)(this.everyConnection);
  }

  bindMessageHandlers(_client: object, handlers: WsMessageHandler[]): void {
    this.commands.bind(handlers);
  }

  close(): void {
    // The socket server stops with the application, before this is called.
  }

  dispose(): void {
    // Nothing is held.
  }
}
