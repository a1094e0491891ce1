import type { Socket } from 'node:net';
import type { OpenKey } from '#libs/security';
import { WebSocket } from 'ws';
import type { Closing } from './close-codes.js';
import type { Commands } from './commands.js';
import { Connection, type ConnectionHost, type ReplyHandle } from './connection.js';
import { EncodedFrame, type Bundle } from './encoded-frame.js';
import { errorFrame, type Fault } from './frames.js';

const OPEN = 1;
const LINGER_MS = 3_000;
const NO_REF: ReplyHandle = { ref: undefined, acknowledge: undefined };

/** Who hears what a socket has to say. */
export interface SocketOwner {
  message(data: Buffer, isBinary: boolean): void;
  /** The peer has answered a ping. */
  alive(): void;
  /** The socket has closed. */
  lost(): void;
}

/** The library's socket, telling its owner and nobody else: tables of listeners weigh as much as a connection. */
export class ServerSocket extends WebSocket {
  owner: SocketOwner | undefined;

  /** What the peer did wrong (`error`) closes the socket; nothing more is to be done about it. */
  override emit(event: string | symbol, ...args: unknown[]): boolean {
    const { owner } = this;
    if (event === 'message') owner?.message(args[0] as Buffer, args[1] as boolean);
    else if (event === 'pong') owner?.alive();
    else if (event === 'close') owner?.lost();
    return owner !== undefined;
  }
}

/** A connection over plain WebSocket. Frames are written to the network socket as they were encoded, once for all. */
export class PlainConnection extends Connection implements SocketOwner {
  readonly transport = 'websocket';
  /** By the clock that nobody sets, like every other time of the silence. */
  private heardAt = performance.now();
  private probedAt = 0;

  constructor(
    key: OpenKey,
    host: ConnectionHost,
    private readonly socket: ServerSocket,
    private readonly network: Socket,
    private readonly commands: Commands,
  ) {
    super(key, host);
    socket.owner = this;
  }

  get buffered(): number {
    return this.network.writableLength;
  }

  message(data: Buffer, isBinary: boolean): void {
    if (isBinary) this.commands.malformed(this, NO_REF, 'Frames are JSON text, not binary');
    else this.heard(data.toString());
  }

  /** A message of the client. */
  heard(text: string): void {
    this.heardAt = performance.now();
    const message = parse(text);
    if (typeof message === 'string') {
      this.commands.malformed(this, NO_REF, message);
    } else {
      this.commands.receive(this, message.type, message.data, { ref: message.ref, acknowledge: undefined });
    }
  }

  alive(): void {
    this.heardAt = performance.now();
  }

  answer({ ref }: ReplyHandle, data: unknown): void {
    const json = JSON.stringify({ type: 'ack', ref: ref ?? null, data, timestamp: new Date().toISOString() });
    this.grant(Buffer.byteLength(json));
    this.send(new EncodedFrame('ack', json));
  }

  refuse(_handle: ReplyHandle, fault: Fault): void {
    this.send(errorFrame(fault));
  }

  override probe(now: number, pingMs: number, silentMs: number): void {
    const silent = now - this.heardAt;
    if (silent >= silentMs) this.socket.terminate();
    else if (silent >= pingMs && now - this.probedAt >= pingMs) {
      this.probedAt = now;
      this.socket.ping();
    }
  }

  protected write(bundle: Bundle): void {
    if (this.socket.readyState === OPEN) this.network.write(bundle.plain);
  }

  protected writeAll(bundles: Bundle[]): void {
    this.network.cork();
    for (const bundle of bundles) this.write(bundle);
    this.network.uncork();
  }

  protected shut({ code, detail }: Closing): void {
    this.socket.close(code, detail.slice(0, 100));
    // A peer that does not answer the close, or does not read it, is cut off.
    setTimeout(() => this.socket.terminate(), LINGER_MS).unref();
  }
}

/** A command frame as text → its parts, or what is wrong with it. */
export function parse(text: string): { type: string; ref: string | number | undefined; data: unknown } | string {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return 'The frame is not valid JSON';
  }
  if (message === null || typeof message !== 'object') return 'A frame is a JSON object with a type';
  const { type, ref, data } = message as Record<string, unknown>;
  if (typeof type !== 'string') return 'A frame is a JSON object with a type';
  if (ref !== undefined && ref !== null && !isRef(ref))
    return 'ref must be a number or a string of at most 64 characters';
  return { type, ref: ref ?? undefined, data };
}

function isRef(ref: unknown): ref is string | number {
  return typeof ref === 'number' || (typeof ref === 'string' && ref.length <= 64);
}
