import { Inject, Injectable } from '@nestjs/common';
import { BROKER, type Broker } from './broker.js';
import { Bundle, type EncodedFrame } from './encoded-frame.js';
import { Channels, wire } from './channels.js';
import type { Connection } from './connection.js';
import { Connections } from './connections.js';
import { serverFrame } from './frames.js';
import { SHARED_STATE, type SharedState } from './shared-state.js';
import { Sources } from './sources.js';
import { Timings } from './timings.js';

/** Memberships looked at to say on connecting who else is there. */
export const MAX_COMPANIONS = 1_000;

/** Who is online: from a user's first socket anywhere until some seconds after the last. */
@Injectable()
export class Presence {
  private readonly leaving = new Map<string, NodeJS.Timeout>();

  constructor(
    @Inject(SHARED_STATE) private readonly state: SharedState,
    @Inject(BROKER) private readonly broker: Broker,
    private readonly connections: Connections,
    private readonly channels: Channels,
    private readonly sources: Sources,
    private readonly timings: Timings,
  ) {
    this.state.onAbandoned((clientId, userIds) => {
      for (const userId of userIds) void this.tellOffline(clientId, userId);
    });
  }

  /** A socket of the user is there; answers whether that is news. */
  async arrived(clientId: string, userId: string): Promise<boolean> {
    const timer = this.leaving.get(userId);
    if (timer) {
      clearTimeout(timer);
      this.leaving.delete(userId);
      return false;
    }
    return this.state.arrive(clientId, userId);
  }

  /** The user's last socket here is gone: offline, unless one comes within the grace. */
  departed(clientId: string, userId: string): void {
    clearTimeout(this.leaving.get(userId));
    const timer = setTimeout(() => {
      this.leaving.delete(userId);
      if (!this.connections.hasUser(userId)) void this.depart(clientId, userId);
    }, this.timings.offlineGraceMs);
    this.leaving.set(userId, timer);
  }

  /** Nobody is told of those who may come back to another process. */
  stop(): void {
    for (const timer of this.leaving.values()) clearTimeout(timer);
    this.leaving.clear();
  }

  /** Tells those who share a room. */
  tellOnline(clientId: string, userId: string, roomIds: string[]): void {
    this.tell(clientId, userId, roomIds, 'online', new Date());
    void this.seen(clientId, userId, new Date());
  }

  /** Which of the users are online. */
  async among(clientId: string, userIds: string[]): Promise<string[]> {
    const online = await this.state.online(clientId);
    return userIds.filter((userId) => online.has(userId));
  }

  /** The members of a room who are online. */
  async inRoom(clientId: string, roomId: string): Promise<string[]> {
    const online = await this.state.online(clientId);
    if (online.size === 0) return [];
    return this.sources.rooms.membersAmong(clientId, roomId, [...online]);
  }

  /** Who of those who share a room with the user is online, the user included. */
  async companions(clientId: string, userId: string): Promise<string[]> {
    return this.among(clientId, await this.sources.rooms.companionsOf(clientId, userId, MAX_COMPANIONS));
  }

  /** What another process says of someone. */
  pass(clientId: string, roomIds: string[], frame: EncodedFrame, exceptUserId: string): void {
    const bundle = new Bundle([frame]);
    const told = new Set<Connection>();
    for (const roomId of roomIds) {
      for (const connection of this.channels.get(clientId, roomId)?.connections ?? []) {
        if (connection.principal.userId === exceptUserId || !connection.welcomed || told.has(connection)) continue;
        told.add(connection);
        connection.enqueue(bundle);
      }
    }
  }

  private async depart(clientId: string, userId: string): Promise<void> {
    if (await this.state.depart(clientId, userId)) await this.tellOffline(clientId, userId);
  }

  private async tellOffline(clientId: string, userId: string): Promise<void> {
    const at = new Date();
    await this.seen(clientId, userId, at);
    const rooms = await this.sources.rooms.roomsOf(clientId, [userId]).catch(() => undefined);
    const roomIds = rooms?.get(userId)?.map((room) => room.roomId) ?? [];
    this.tell(clientId, userId, roomIds, 'offline', at);
  }

  private tell(clientId: string, userId: string, roomIds: string[], status: 'online' | 'offline', at: Date): void {
    if (roomIds.length === 0) return;
    const frame = serverFrame('presence', { user_id: userId, status, last_seen_at: at.toISOString() });
    this.pass(clientId, roomIds, frame, userId);
    this.broker.say({ kind: 'presence', clientId, roomIds, frame: wire(frame), exceptUserId: userId });
  }

  /** Best effort: a time that is not kept is kept with the next. */
  private async seen(clientId: string, userId: string, at: Date): Promise<void> {
    await this.sources.rooms.seen(clientId, userId, at).catch(() => undefined);
  }
}
