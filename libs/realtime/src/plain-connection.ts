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

/** The library's socket, knowing whose it is: listeners are shared by all instead of being made for each. */
export class ServerSocket extends WebSocket {
  owner: PlainConnection | undefined;
}

/** A connection over plain WebSocket. Frames are written to the network socket as they were encoded, once for all. */
export class PlainConnection extends Connection {
  readonly transport = 'websocket';
  private heardAt = Date.now();
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
    socket.on('message', onMessage).on('close', onClose).on('pong', onPong).on('error', onError);
  }

  get buffered(): number {
    return this.network.writableLength;
  }

  /** A message of the client. */
  heard(text: string): void {
    this.heardAt = Date.now();
    const message = parse(text);
    if (typeof message === 'string') {
      this.commands.malformed(this, { ref: undefined, acknowledge: undefined }, message);
    } else {
      this.commands.receive(this, message.type, message.data, { ref: message.ref, acknowledge: undefined });
    }
  }

  /** A message that is no text. */
  heardBinary(): void {
    this.commands.malformed(this, { ref: undefined, acknowledge: undefined }, 'Frames are JSON text, not binary');
  }

  alive(): void {
    this.heardAt = Date.now();
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

function onMessage(this: WebSocket, data: WebSocket.RawData, isBinary: boolean): void {
  const { owner } = this as ServerSocket;
  if (isBinary) owner?.heardBinary();
  else owner?.heard((data as Buffer).toString());
}

function onPong(this: WebSocket): void {
  (this as ServerSocket).owner?.alive();
}

function onClose(this: WebSocket): void {
  (this as ServerSocket).owner?.lost();
}

/** What the peer did wrong closes the socket; nothing more is to be done. */
function onError(): void {
  // Heard, so that it ends no process.
}
