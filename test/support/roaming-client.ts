import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { call } from './api.js';
import { until } from './concurrency.js';
import { assertRises, Replica } from './model-room.js';
import { connect, type TestFrame, type TestSocket, type Way } from './sockets.js';

/** Listens to one room through whatever happens: comes back after every disconnect and resumes. */
export class RoamingClient {
  readonly replica: Replica;
  /** Numbers of messages in the order they were taken in. */
  readonly history: number[] = [];
  reconnects = -1;
  socket: TestSocket | undefined;
  private readonly running: Promise<void>;
  private stopped = false;
  private isCut = false;
  private fault: unknown;

  constructor(
    private readonly url: string,
    private readonly way: Way,
    private readonly user: { id: string; key: string },
    private readonly roomId: string,
  ) {
    this.replica = new Replica(user.id);
    this.running = this.roam().catch((error: unknown) => void (this.fault = error));
  }

  /** Cuts its connection, which it comes back from. */
  cut(): void {
    this.isCut = true;
    this.socket?.close();
  }

  /** Throws what went wrong, if anything did. */
  check(): void {
    if (this.fault) throw this.fault;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.cut();
    await this.running;
    this.check();
  }

  private async roam(): Promise<void> {
    while (!this.stopped) {
      this.isCut = false;
      const socket = connect(this.url, this.way, { token: this.user.key });
      this.socket = socket;
      // One that was cut before it was open never says that it closed.
      const isDecided = () => this.isCut || socket.closed !== undefined || socket.frames.length > 0;
      await until('an answer', async () => (await delay(2), isDecided()), 60_000);
      if (socket.frames[0]?.type === 'connection_status') {
        this.reconnects++;
        await this.follow(socket);
      }
      socket.close();
      await delay(100);
    }
  }

  private async follow(socket: TestSocket): Promise<void> {
    const reply = await this.subscribe(socket);
    if (!reply) return;
    let heard = 0;
    let read = 0;
    while (!this.stopped && !this.isCut && socket.closed === undefined) {
      for (; read < socket.frames.length; read++) {
        const frame = socket.frames[read]!;
        if (frame.type === 'resync') return;
        if (frame.room_id !== this.roomId || frame.seq === undefined) continue;
        assertRises(heard, frame.seq, `over ${this.way}`);
        heard = frame.seq;
        if (frame.seq > this.replica.position) this.take(frame);
      }
      await delay(5);
    }
  }

  /** Undefined when the connection or the database went away meanwhile. */
  private async subscribe(socket: TestSocket): Promise<object | undefined> {
    const asked = socket.command('subscribe', { room_id: this.roomId, after_seq: this.replica.position });
    const reply = await Promise.race([
      asked,
      socket.ended().then(
        () => undefined,
        () => undefined,
      ),
    ]);
    if (!reply?.data) return undefined;
    if (!reply.data.recovered) {
      await this.page();
      return this.subscribe(socket);
    }
    for (const frame of reply.data.frames as TestFrame[]) this.take(frame);
    this.replica.position = Math.max(this.replica.position, reply.data.seq);
    return reply.data;
  }

  /** More than 1,000 changes were missed. */
  private async page(): Promise<void> {
    for (let more = true; more;) {
      const path = `/api/v1/rooms/${this.roomId}/changes?limit=1000&after_seq=${this.replica.position}`;
      const { status, body } = await call(this.url + path, 'GET', { key: this.user.key });
      assert.equal(status, 200);
      for (const frame of body.data.frames as TestFrame[]) this.take(frame);
      this.replica.position = body.data.seq;
      more = body.data.has_more;
    }
  }

  private take(frame: TestFrame): void {
    assertRises(this.replica.position, frame.seq!, `over ${this.way}, taken in`);
    this.replica.apply(frame);
    if (frame.type === 'message') this.history.push(frame.seq!);
  }
}
