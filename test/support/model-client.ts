import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { TestApi, TestTenant, TestUser } from './api.js';
import { until } from './concurrency.js';
import { assertRises, databaseState, differences, Gate, Replica } from './model-room.js';
import { Random } from './random.js';
import { aSocket, type TestFrame, type TestSocket, type Way } from './sockets.js';

/** A room of the model: its gate, and nothing else is known of it. */
export interface ModelRoom {
  id: string;
  gate: Gate;
}

/** What one client believes of one room. */
interface View {
  replica: Replica;
  member: boolean;
  /** Frames are applied as they come; otherwise the next subscription brings them. */
  live: boolean;
  /** Numbers heard on this connection. */
  heard: number;
}

/** One user who does anything at random, and whose rooms must never differ from the database's. */
export class ModelClient {
  private socket: TestSocket | undefined;
  private read = 0;
  private readonly views = new Map<string, View>();
  private readonly unsure: { room: ModelRoom; body: object }[] = [];
  steps = 0;
  checks = 0;

  constructor(
    private readonly api: TestApi,
    private readonly tenant: TestTenant,
    private readonly user: TestUser,
    private readonly way: Way,
    private readonly rooms: ModelRoom[],
    private readonly random: Random,
    private readonly settleMs: number,
  ) {
    for (const { id } of rooms) {
      this.views.set(id, { replica: new Replica(user.id), member: true, live: false, heard: 0 });
    }
  }

  async step(): Promise<void> {
    this.steps++;
    if (!this.socket) return this.connect();
    this.hear();
    const room = this.random.pick(this.rooms);
    const dice = this.random.below(100);
    if (dice < 12) return this.disconnect();
    if (dice < 20) return this.check(room);
    if (dice < 26) return this.resume(room);
    if (dice < 30) return this.unsubscribe(room);
    if (dice < 36) return this.leaveOrJoin(room);
    if (dice < 70) return this.send(room, dice < 40);
    return dice < 90 ? this.change(room, 'edit_message') : this.change(room, 'delete_message');
  }

  /** Comes back once more and compares everything. */
  async finish(): Promise<void> {
    if (!this.socket) await this.connect();
    for (const room of this.rooms) await this.check(room);
    this.socket?.close();
  }

  private async connect(): Promise<void> {
    this.socket = await aSocket(this.api.url, this.way, this.user.key);
    this.read = 0;
    for (const view of this.views.values()) Object.assign(view, { live: false, heard: 0 });
    for (const { room, body } of this.unsure.splice(0)) {
      if (this.views.get(room.id)!.member) await room.gate.write(() => this.socket!.command('send_message', body));
    }
    for (const room of this.rooms) if (this.random.below(2) < 1) await this.check(room);
  }

  private disconnect(): Promise<void> {
    this.socket!.close();
    this.socket = undefined;
    return Promise.resolve();
  }

  private async resume({ id }: ModelRoom): Promise<void> {
    const view = this.views.get(id)!;
    if (!view.member) return;
    const { replica } = view;
    this.hear();
    view.live = false;
    for (;;) {
      const reply = await this.socket!.ask('subscribe', { room_id: id, after_seq: replica.position });
      if (!reply.recovered) {
        await this.page(id, replica);
        continue;
      }
      for (const frame of reply.frames) replica.apply(frame);
      replica.position = Math.max(replica.position, reply.seq);
      break;
    }
    view.live = true;
    this.hear(id);
  }

  /** More was missed than a subscription answers. */
  private async page(roomId: string, replica: Replica): Promise<void> {
    for (let more = true; more;) {
      const path = `/rooms/${roomId}/changes?limit=1000&after_seq=${replica.position}`;
      const { data } = (await this.api.call('GET', path, { key: this.user.key })).body;
      for (const frame of data.frames) replica.apply(frame);
      replica.position = data.seq;
      more = data.has_more;
    }
  }

  /** After a resume, once nobody writes and everything told has come: the database's state. */
  private async check(room: ModelRoom): Promise<void> {
    await this.resume(room);
    const view = this.views.get(room.id)!;
    if (!view.member) return;
    this.checks++;
    await room.gate.alone(async () => {
      let found: string[] = [];
      const equal = async (): Promise<boolean> => {
        this.hear();
        found = differences(view.replica.state, await databaseState(this.api.database, this.tenant.id, room.id));
        return found.length === 0;
      };
      const settled = until('equality', equal, this.settleMs);
      await settled.catch(() =>
        assert.fail(`over ${this.way} a room differs from the database: ${found.slice(0, 3).join('; ')}`),
      );
    });
  }

  private async unsubscribe({ id }: ModelRoom): Promise<void> {
    await this.socket!.ask('unsubscribe', { room_id: id });
    this.hear();
    this.views.get(id)!.live = false;
  }

  private async leaveOrJoin(room: ModelRoom): Promise<void> {
    const view = this.views.get(room.id)!;
    const action = view.member ? 'leave' : 'join';
    const path = `/rooms/${room.id}/${action}`;
    const reply = await room.gate.write(() => this.api.call('POST', path, { key: this.user.key, body: {} }));
    assert.ok(reply.status < 300, reply.text);
    this.hear();
    view.member = action === 'join';
    if (view.member) await this.resume(room);
    else view.live = false;
  }

  private async send(room: ModelRoom, hangUp: boolean): Promise<void> {
    if (!this.views.get(room.id)!.member) return;
    const body = {
      room_id: room.id,
      content: `m${this.random.below(1e9)}`,
      client_message_id: randomUUID(),
    };
    if (hangUp) {
      void this.socket!.command('send_message', body);
      this.unsure.push({ room, body });
      return this.disconnect();
    }
    const sent = await room.gate.write(() => this.socket!.ask('send_message', body));
    assert.equal(sent.content, body.content);
  }

  private async change(room: ModelRoom, command: 'edit_message' | 'delete_message'): Promise<void> {
    const { member, replica } = this.views.get(room.id)!;
    const { mine } = replica;
    if (!member || mine.size === 0) return;
    const id = this.random.pick([...mine]);
    const body = command === 'edit_message' ? { content: `e${this.random.below(1e9)}` } : {};
    const reply = await room.gate.write(() => this.socket!.command(command, { message_id: id, ...body }));
    if (reply.error) assert.equal(reply.error.error_code, 'RESOURCE_NOT_FOUND', JSON.stringify(reply.error));
    mine.delete(id);
  }

  /** Takes in what has come. `again`: a room whose frames were held while it was being subscribed to. */
  private hear(again?: string): void {
    const { frames } = this.socket!;
    if (again !== undefined) {
      const view = this.views.get(again)!;
      const missed = frames
        .slice(0, this.read)
        .filter((f) => f.room_id === again && (f.seq ?? 0) > view.replica.position);
      for (const frame of missed) view.replica.apply(frame);
    }
    while (this.read < frames.length) this.take(frames[this.read++]!);
    assert.equal(this.socket!.closed, undefined, `a ${this.way} connection was closed`);
  }

  private take(frame: TestFrame): void {
    assert.ok(frame.type !== 'resync' && frame.type !== 'error', JSON.stringify(frame));
    const view = this.views.get(frame.room_id ?? '');
    if (!view || frame.seq === undefined) return;
    assertRises(view.heard, frame.seq, `over ${this.way}`);
    view.heard = frame.seq;
    if (!view.live || frame.seq <= view.replica.position) return;
    view.replica.apply(frame);
    if (frame.type === 'user_left' && frame.data.user_id === this.user.id) view.live = false;
  }
}
