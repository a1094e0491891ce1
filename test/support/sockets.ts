import assert from 'node:assert/strict';
import { io, type Socket } from 'socket.io-client';
import { WebSocket } from 'ws';
import { until } from './concurrency.js';

/** A frame as a test sees it. */
// Tests look into data of every shape.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Json = any;

/** A frame of the server. */
export interface TestFrame {
  type: string;
  room_id?: string;
  seq?: number;
  data: Json;
  timestamp: string;
}

/** What a command was answered with. */
export interface TestReply {
  data?: Json;
  error?: { error_code: string; detail: string; ref: unknown; errors?: { field: string; message: string }[] };
}

/** The ways to connect that every wire test runs on. */
export const WAYS = ['websocket', 'socketio', 'polling'] as const;
/** One of {@link WAYS}. */
export type Way = (typeof WAYS)[number];

/** A client of the channel, the same over every way. */
export interface TestSocket {
  readonly way: Way;
  /** Everything the server has told, in order; replies to commands are not in it. */
  readonly frames: TestFrame[];
  /** Set once closed: the code, of a frame before it where the way has none. */
  readonly closed: { code: number } | undefined;
  command(type: string, data?: unknown): Promise<TestReply>;
  /** The command's result; fails the test when it was refused. */
  ask(type: string, data?: unknown): Promise<Json>;
  /** Waits for a frame of that type that fits. */
  frame(type: string, fits?: (frame: TestFrame) => boolean): Promise<TestFrame>;
  /** Frames with a number of one room. */
  changes(roomId: string): TestFrame[];
  ended(): Promise<{ code: number }>;
  close(): void;
}

const sockets = new Set<TestSocket>();

/** Closes whatever a test left open. */
export function closeSockets(): void {
  for (const socket of sockets) socket.close();
  sockets.clear();
}

/** Connects and does not wait for anything. */
export function connect(url: string, way: Way, auth: { token?: string; ticket?: string }): TestSocket {
  const socket = way === 'websocket' ? new PlainSocket(url, auth) : new IoSocket(url, way, auth);
  sockets.add(socket);
  return socket;
}

/** Connects and waits for the greeting. */
export async function aSocket(url: string, way: Way, token: string): Promise<TestSocket> {
  const socket = connect(url, way, { token });
  await socket.frame('connection_status');
  return socket;
}

abstract class BaseSocket implements TestSocket {
  readonly frames: TestFrame[] = [];
  closed: { code: number } | undefined;

  constructor(readonly way: Way) {}

  abstract command(type: string, data?: unknown): Promise<TestReply>;
  abstract close(): void;

  async ask(type: string, data?: unknown): Promise<Json> {
    const reply = await this.command(type, data);
    assert.equal(reply.error, undefined, `${type}: ${JSON.stringify(reply.error)}`);
    return reply.data;
  }

  async frame(type: string, fits: (frame: TestFrame) => boolean = () => true): Promise<TestFrame> {
    const find = () => this.frames.find((frame) => frame.type === type && fits(frame));
    await until(`a ${type} frame over ${this.way}, got ${this.frames.map((f) => f.type).join(' ')}`, () => !!find());
    return find()!;
  }

  changes(roomId: string): TestFrame[] {
    return this.frames.filter((frame) => frame.room_id === roomId && frame.seq !== undefined);
  }

  async ended(): Promise<{ code: number }> {
    await until(`the end of a socket over ${this.way}`, () => this.closed !== undefined);
    return this.closed!;
  }
}

class PlainSocket extends BaseSocket {
  readonly socket: WebSocket;
  private readonly waiting = new Map<string, (reply: TestReply) => void>();
  private refs = 0;

  constructor(url: string, { token, ticket }: { token?: string; ticket?: string }) {
    super('websocket');
    const query = ticket === undefined ? '' : `?ticket=${ticket}`;
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    this.socket = new WebSocket(`${url.replace('http', 'ws')}/api/v1/websocket/open${query}`, { headers });
    this.socket.on('message', (data: Buffer) => this.heard(JSON.parse(data.toString())));
    this.socket.on('close', (code) => {
      this.closed = { code };
      for (const resolve of this.waiting.values()) resolve({ error: { error_code: 'CLOSED', detail: '', ref: null } });
    });
    this.socket.on('error', () => undefined);
  }

  command(type: string, data?: unknown): Promise<TestReply> {
    const ref = `r${++this.refs}`;
    return new Promise((resolve) => {
      this.waiting.set(ref, resolve);
      this.socket.send(JSON.stringify({ type, ref, data }));
    });
  }

  close(): void {
    this.socket.terminate();
  }

  private heard(frame: Json): void {
    const ref = frame.type === 'ack' ? frame.ref : frame.type === 'error' ? frame.data.ref : undefined;
    const resolve = this.waiting.get(ref);
    if (!resolve) return void this.frames.push(frame);
    this.waiting.delete(ref);
    resolve(frame.type === 'ack' ? { data: frame.data } : { error: frame.data });
  }
}

class IoSocket extends BaseSocket {
  readonly socket: Socket;

  constructor(url: string, way: Way, auth: { token?: string; ticket?: string }) {
    super(way);
    const transports = [way === 'polling' ? 'polling' : 'websocket'];
    this.socket = io(url, { transports, auth, reconnection: false, forceNew: true });
    this.socket.onAny((type: string, frame: TestFrame) => {
      assert.equal(type, frame.type);
      this.frames.push(frame);
    });
    this.socket.on('disconnect', () => {
      const told = this.frames.findLast((frame) => frame.type === 'error' && frame.data.close_code !== undefined);
      this.closed = { code: told?.data.close_code ?? 1006 };
    });
    this.socket.on('connect_error', () => (this.closed = { code: 1006 }));
  }

  command(type: string, data?: unknown): Promise<TestReply> {
    return new Promise((resolve) => {
      this.socket.once('disconnect', () => resolve({ error: { error_code: 'CLOSED', detail: '', ref: null } }));
      this.socket.emit(type, data, resolve);
    });
  }

  close(): void {
    this.socket.disconnect();
  }
}
