import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A loopback port that leads to a server until it is shut. */
export class Door {
  private readonly sockets = new Set<Socket>();
  private readonly server: Server;
  private port = 0;

  private constructor(lead: () => Socket) {
    this.server = createServer((inner) => {
      const outer = lead();
      for (const socket of [inner, outer]) {
        this.sockets.add(socket);
        socket.on('error', () => undefined);
        socket.on('close', () => {
          this.sockets.delete(socket);
          inner.destroy();
          outer.destroy();
        });
      }
      inner.pipe(outer).pipe(inner);
    });
  }

  /** One on a free port, to a host's port or, where the host is a path, to a socket file. */
  static async to(host: string, port = 0): Promise<Door> {
    const door = new Door(() => (host.startsWith('/') ? connect(host) : connect(port, host)));
    await door.open();
    return door;
  }

  /** Where it is on 127.0.0.1; the same after it was shut and opened again. */
  get number(): number {
    return this.port;
  }

  /** Lets in who comes. */
  async open(): Promise<void> {
    this.server.listen(this.port, '127.0.0.1');
    await once(this.server, 'listening');
    this.port = (this.server.address() as AddressInfo).port;
  }

  /** Cuts every connection and refuses new ones. */
  async shut(): Promise<void> {
    if (!this.server.listening) return;
    const closed = once(this.server, 'close');
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }
}
