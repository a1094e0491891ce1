import { Inject, Injectable, Logger } from '@nestjs/common';
import { BROKER, type Broker } from './broker.js';
import { EncodedFrame } from './encoded-frame.js';
import { errorFrame, resyncFrame } from './frames.js';
import { RealtimeMetrics } from './realtime-metrics.js';
import type { RoomChannel } from './room-channel.js';
import { Sources } from './sources.js';
import { Timings } from './timings.js';

/** Most changes a hole is filled with, and a subscription answered with. */
export const MAX_CHANGES = 1_000;
const LOOK_BATCH = 1_000;
const SOON_MS = 20;
const RETRY_MS = 500;

/** Fills from the database what a room's frames miss: holes that stay, and last frames nobody told of. */
@Injectable()
export class CatchUp {
  private readonly logger = new Logger('CatchUp');
  private rooms: () => Iterable<RoomChannel> = () => [];
  private lookedInTheDark: () => void = () => undefined;
  private soon = new Set<RoomChannel>();
  private soonTimer: NodeJS.Timeout | undefined;
  private lookTimer: NodeJS.Timeout | undefined;
  /** By the clock nobody sets. */
  private lookedAt = 0;
  private looking = false;
  private lookAgain = false;

  constructor(
    private readonly sources: Sources,
    private readonly timings: Timings,
    private readonly metrics: RealtimeMetrics,
    @Inject(BROKER) private readonly broker: Broker,
  ) {}

  /** Looks at the rooms from time to time until {@link stop}; calls `lookedInTheDark` with each look while words get lost. */
  start(rooms: () => Iterable<RoomChannel>, lookedInTheDark: () => void): void {
    this.rooms = rooms;
    this.lookedInTheDark = lookedInTheDark;
    this.lookedAt = performance.now();
    this.lookTimer = setInterval(() => this.tick(), 500).unref();
  }

  stop(): void {
    clearInterval(this.lookTimer);
    clearTimeout(this.soonTimer);
  }

  /** Something is missing in the room; it is read when it has not come by itself. */
  hole(channel: RoomChannel, afterMs = this.timings.holeMs): void {
    if (channel.holeTimer || channel.gone) return;
    channel.holeTimer = setTimeout(() => {
      channel.holeTimer = undefined;
      if (channel.order.hasHole) void this.fill(channel);
    }, afterMs);
  }

  /** Compares the room's number with the database shortly, with others in one query. */
  look(channel: RoomChannel): void {
    this.soon.add(channel);
    this.soonTimer ??= setTimeout(() => {
      this.soonTimer = undefined;
      const channels = [...this.soon];
      this.soon = new Set();
      void this.compare(channels);
    }, SOON_MS);
  }

  /** Compares every room now. */
  async lookAtAll(): Promise<void> {
    if (this.looking) return void (this.lookAgain = true);
    this.looking = true;
    try {
      do {
        this.lookAgain = false;
        this.lookedAt = performance.now();
        await this.compare([...this.rooms()]);
      } while (this.lookAgain);
    } finally {
      this.looking = false;
    }
  }

  private tick(): void {
    const { alone, shared, degraded } = this.timings.lookMs;
    const every = !this.broker.shared ? alone : this.broker.live ? shared : degraded;
    if (performance.now() - this.lookedAt < every) return;
    void this.lookAtAll();
    if (!this.broker.live) this.lookedInTheDark();
  }

  private async compare(channels: RoomChannel[]): Promise<void> {
    for (let from = 0; from < channels.length; from += LOOK_BATCH) {
      const batch = channels.slice(from, from + LOOK_BATCH).filter((channel) => !channel.gone);
      const known = batch.map((channel) => channel.order.position);
      const found = await this.sources.rooms.positions(batch).catch(() => undefined);
      // The database does not answer: the next look comes by itself.
      if (!found) return;
      const seqs = new Map(found.map((room) => [room.roomId, room.seq]));
      batch.forEach((channel, index) => this.judge(channel, seqs.get(channel.roomId), known[index]));
    }
  }

  /** `known` is where the room was before the database was asked. */
  private judge(channel: RoomChannel, seq: number | undefined, known: number | undefined): void {
    const { position } = channel.order;
    // A first subscription finds out by itself whether there is such a room.
    if (channel.gone || position === undefined) return;
    if (seq === undefined) return channel.dismiss(roomDeletedFrame(channel.roomId), true);
    if (known !== undefined && seq < known) return this.beginAnew(channel, seq);
    if (position >= seq) return;
    // What was committed a moment ago is still on its way.
    setTimeout(() => {
      if (!channel.gone && (channel.order.position ?? seq) < seq) void this.fill(channel);
    }, this.timings.holeMs);
  }

  /** The database knows less than it did: it came back from a backup, or from a standby that was behind. */
  private beginAnew(channel: RoomChannel, seq: number): void {
    this.metrics.resyncs.inc(channel.size);
    channel.dismiss(resyncFrame(channel.roomId, seq), true);
  }

  private async fill(channel: RoomChannel): Promise<void> {
    if (channel.filling || channel.gone) return;
    channel.filling = true;
    try {
      await this.read(channel);
    } catch {
      this.logger.warn('A hole could not be filled from the database yet');
      setTimeout(() => void this.fill(channel), RETRY_MS).unref();
    } finally {
      channel.filling = false;
    }
    if (channel.order.hasHole) this.hole(channel);
  }

  private async read(channel: RoomChannel): Promise<void> {
    const { clientId, roomId } = channel;
    const position = channel.order.position ?? 0;
    const frames = await this.sources.changes.changes(clientId, roomId, position, MAX_CHANGES + 1);
    if (channel.gone) return;
    this.metrics.fills.inc();
    if (frames.length <= MAX_CHANGES) {
      const upTo = frames.at(-1)?.seq ?? position;
      channel.release(channel.order.fill(frames.map(EncodedFrame.of), upTo));
      return;
    }
    const [room] = await this.sources.rooms.positions([channel]);
    if (!room || channel.gone) return;
    this.metrics.resyncs.inc(channel.size);
    channel.dismiss(resyncFrame(roomId, position), false);
    if (!channel.gone) channel.skipTo(room.seq);
  }
}

/** What those who hear a room are told last when it was deleted. */
export function roomDeletedFrame(roomId: string): EncodedFrame {
  return errorFrame({ code: 'RESOURCE_NOT_FOUND', detail: 'The room was deleted', roomId });
}
