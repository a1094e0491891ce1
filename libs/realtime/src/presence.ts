import { Inject, Injectable } from '@nestjs/common';
import { BROKER, type Broker } from './broker.js';
import { Bundle, type EncodedFrame } from './encoded-frame.js';
import { Channels, wire } from './channels.js';
import type { Connection } from './connection.js';
import { Connections } from './connections.js';
import { serverFrame } from './frames.js';
import { SHARED_STATE, type SharedState, type StateListener } from './shared-state.js';
import { Sources } from './sources.js';
import { Timings } from './timings.js';

/** Memberships looked at to say on connecting who else is there. */
export const MAX_COMPANIONS = 1_000;

/** Who is online: from a user's first socket anywhere until some seconds after the last. */
@Injectable()
export class Presence implements StateListener {
  private readonly leaving = new Map<string, NodeJS.Timeout>();
  /** By tenant, who somebody here was told is online in another process. */
  private readonly elsewhere = new Map<string, Set<string>>();
  private recount: NodeJS.Timeout | undefined;

  constructor(
    @Inject(SHARED_STATE) private readonly state: SharedState,
    @Inject(BROKER) private readonly broker: Broker,
    private readonly connections: Connections,
    private readonly channels: Channels,
    private readonly sources: Sources,
    private readonly timings: Timings,
  ) {
    this.state.listen(this);
  }

  abandoned(clientId: string, userIds: string[]): void {
    for (const userId of userIds) void this.bidFarewell(clientId, userId, () => Promise.resolve(true));
  }

  revived(clientId: string, userIds: string[]): void {
    void this.sources.rooms
      .roomsOf(clientId, userIds)
      .then((rooms) => {
        for (const [userId, own] of rooms) {
          if (this.connections.hasUser(userId))
            this.tellOnline(
              clientId,
              userId,
              own.map(({ roomId }) => roomId),
            );
        }
      })
      .catch(() => undefined);
  }

  /** Once every process that lives has said again who is there, those who are missing have gone. */
  forgotten(): void {
    clearTimeout(this.recount);
    this.recount = setTimeout(() => void this.mourn().catch(() => undefined), this.timings.deadAfterMs);
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
      if (!this.connections.hasUser(userId))
        void this.bidFarewell(clientId, userId, () => this.state.depart(clientId, userId));
    }, this.timings.offlineGraceMs);
    this.leaving.set(userId, timer);
  }

  /** Nobody is told of those who may come back to another process. */
  stop(): void {
    clearTimeout(this.recount);
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
    const online = await this.among(clientId, await this.sources.rooms.companionsOf(clientId, userId, MAX_COMPANIONS));
    for (const companion of online) this.note(clientId, companion, true);
    return online;
  }

  /** What another process says of someone, for those here and for later. */
  hear(clientId: string, roomIds: string[], frame: EncodedFrame, userId: string): void {
    const { data } = JSON.parse(frame.json) as { data: { status: string } };
    this.note(clientId, userId, data.status === 'online');
    this.pass(clientId, roomIds, frame, userId);
  }

  /** Nobody of the tenant is here who could have been told anything. */
  forgetClient(clientId: string): void {
    this.elsewhere.delete(clientId);
  }

  /** Keeps whom somebody here was told of; alone, nobody can be elsewhere. */
  private note(clientId: string, userId: string, online: boolean): void {
    const users = this.elsewhere.get(clientId);
    if (!online) users?.delete(userId);
    else if (users) users.add(userId);
    else if (this.broker.shared && this.connections.hasClient(clientId))
      this.elsewhere.set(clientId, new Set([userId]));
  }

  private pass(clientId: string, roomIds: string[], frame: EncodedFrame, exceptUserId: string): void {
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

  /** Every process tells its own sockets only: each knows whom it has told. */
  private async mourn(): Promise<void> {
    for (const [clientId, users] of this.elsewhere) {
      const online = await this.state.online(clientId);
      const gone = [...users].filter((userId) => !online.has(userId));
      if (gone.length === 0) continue;
      const rooms = await this.sources.rooms.roomsOf(clientId, gone);
      for (const userId of gone) {
        this.note(clientId, userId, false);
        const roomIds = rooms.get(userId)?.map(({ roomId }) => roomId) ?? [];
        this.pass(clientId, roomIds, presenceFrame(userId, 'offline', new Date()), userId);
      }
    }
  }

  /**
   * Tells that a user has gone, unless it comes back meanwhile: everything is read before `isGone` decides, so that its
   * coming back cannot be told before.
   */
  private async bidFarewell(clientId: string, userId: string, isGone: () => Promise<boolean>): Promise<void> {
    const at = new Date();
    await this.seen(clientId, userId, at);
    const rooms = await this.sources.rooms.roomsOf(clientId, [userId]).catch(() => undefined);
    if (this.connections.hasUser(userId) || !(await isGone())) return;
    const roomIds = rooms?.get(userId)?.map((room) => room.roomId) ?? [];
    this.tell(clientId, userId, roomIds, 'offline', at);
  }

  private tell(clientId: string, userId: string, roomIds: string[], status: 'online' | 'offline', at: Date): void {
    if (status === 'offline') this.note(clientId, userId, false);
    if (roomIds.length === 0) return;
    const frame = presenceFrame(userId, status, at);
    this.pass(clientId, roomIds, frame, userId);
    this.broker.say({ kind: 'presence', clientId, roomIds, frame: wire(frame), exceptUserId: userId });
  }

  /** Best effort: a time that is not kept is kept with the next. */
  private async seen(clientId: string, userId: string, at: Date): Promise<void> {
    await this.sources.rooms.seen(clientId, userId, at).catch(() => undefined);
  }
}

function presenceFrame(userId: string, status: 'online' | 'offline', at: Date): EncodedFrame {
  return serverFrame('presence', { user_id: userId, status, last_seen_at: at.toISOString() });
}
