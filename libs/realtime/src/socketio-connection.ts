import type { Socket as NetworkSocket } from 'node:net';
import type { Socket } from 'socket.io';
import type { OpenKey } from '#libs/security';
import { CLOSE, type Closing } from './close-codes.js';
import type { Commands } from './commands.js';
import { Connection, type ConnectionHost, type ReplyHandle } from './connection.js';
import type { Bundle } from './encoded-frame.js';
import { errorFrame, faultData, type Fault } from './frames.js';

const LINGER_MS = 3_000;

/** What Engine.IO keeps behind a socket and does not declare. */
interface Engine {
  writeBuffer: unknown[];
  transport: { socket?: { _socket?: NetworkSocket } };
  once(event: 'upgrade', listener: () => void): void;
  write(data: string): void;
  close(discard?: boolean): void;
}

/**
 * A connection over Socket.IO. On its websocket transport frames go to the network socket as they were encoded, once
 * for all; what cannot go that way (long-polling, a transport that is just changing) goes through Engine.IO's own queue.
 */
export class SocketIoConnection extends Connection {
  readonly transport = 'socketio';
  private queued = 0;
  private readonly engine: Engine;
  /** The network socket of the websocket transport; none while the client polls. */
  private network: NetworkSocket | undefined;

  constructor(
    key: OpenKey,
    host: ConnectionHost,
    private readonly socket: Socket,
    private readonly commands: Commands,
  ) {
    super(key, host);
    this.engine = socket.conn as unknown as Engine;
    this.network = networkOf(this.engine);
    if (!this.network) this.engine.once('upgrade', () => (this.network = networkOf(this.engine)));
    socket.onAny((event: string, ...args: unknown[]) => this.heard(event, args));
    socket.once('disconnect', () => this.lost());
  }

  get buffered(): number {
    if (this.queued > 0 && this.engine.writeBuffer.length === 0) this.queued = 0;
    return (this.network?.writableLength ?? 0) + this.queued;
  }

  answer({ acknowledge }: ReplyHandle, data: unknown): void {
    if (acknowledge) this.acknowledge(acknowledge, { data });
  }

  refuse({ acknowledge }: ReplyHandle, fault: Fault): void {
    if (acknowledge) this.acknowledge(acknowledge, { error: faultData(fault) });
    else this.send(errorFrame(fault));
  }

  protected write(bundle: Bundle): void {
    const network = this.directly();
    if (network) network.write(bundle.socketIo);
    else for (const frame of bundle.frames) this.queue(frame.packet);
  }

  protected writeAll(bundles: Bundle[]): void {
    const network = this.directly();
    network?.cork();
    for (const bundle of bundles) this.write(bundle);
    network?.uncork();
  }

  /** Clients do not come back by themselves after a disconnect, and do after the transport closed. */
  protected shut({ code }: Closing): void {
    const { engine } = this;
    if (code === CLOSE.goingAway || code === CLOSE.tooSlow) engine.close();
    else this.socket.disconnect(true);
    setTimeout(() => engine.close(true), LINGER_MS).unref();
  }

  /**
   * The network socket, when nothing waits in Engine.IO that a direct write would overtake; what left its queue is on
   * the network already. Each object looked at is one more cache miss per receiver.
   */
  private directly(): NetworkSocket | undefined {
    const { network } = this;
    return network?.writable && this.engine.writeBuffer.length === 0 ? network : undefined;
  }

  private queue(packet: string): void {
    this.queued += packet.length;
    this.engine.write(packet);
  }

  /** After everything that was told before; the answer does not count as the reader's slowness. */
  private acknowledge(acknowledge: (reply: object) => void, reply: object): void {
    this.flush();
    if (this.closed) return;
    const before = this.buffered;
    acknowledge(reply);
    this.grant(Math.max(0, this.buffered - before));
  }

  /** An event of the client. */
  heard(event: string, args: unknown[]): void {
    const last = args.at(-1);
    const acknowledge = typeof last === 'function' ? (last as (reply: object) => void) : undefined;
    const handle: ReplyHandle = { ref: undefined, acknowledge };
    const data = args[0] === acknowledge ? undefined : args[0];
    if (holdsBinary(data)) this.commands.malformed(this, handle, 'Commands are JSON, not binary');
    else this.commands.receive(this, event, data, handle);
  }
}

function networkOf(engine: Engine): NetworkSocket | undefined {
  return engine.transport.socket?._socket;
}

/** Socket.IO puts binary attachments back into the data as buffers. No recursion: the depth is the client's choice. */
function holdsBinary(data: unknown): boolean {
  const left = [data];
  while (left.length > 0) {
    const value = left.pop();
    if (value === null || typeof value !== 'object') continue;
    if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return true;
    for (const part of Object.values(value)) left.push(part);
  }
  return false;
}
