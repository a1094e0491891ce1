import { Inject, Injectable } from '@nestjs/common';
import { ApiError } from '#libs/common';
import { BROKER, type Broker } from './broker.js';
import { mayHear } from './channels.js';
import { CLOSE, type Closing } from './close-codes.js';
import type { Connection } from './connection.js';
import { Connections } from './connections.js';
import { serverFrame } from './frames.js';
import { Presence } from './presence.js';
import { SHARED_STATE, type SharedState } from './shared-state.js';
import { Sources, type MemberRoom } from './sources.js';
import { Subscriptions } from './subscriptions.js';
import { ReadTurnstile } from './read-turnstile.js';

const UNREACHABLE: Closing = {
  code: CLOSE.goingAway,
  errorCode: 'SERVICE_UNAVAILABLE',
  detail: 'The database is not reachable; reconnect',
};
const RECONCILE_BATCH = 200;

/** Lets connections in, tells them where they stand, and sees them off. */
@Injectable()
export class Reception {
  constructor(
    @Inject(SHARED_STATE) private readonly state: SharedState,
    @Inject(BROKER) private readonly broker: Broker,
    private readonly connections: Connections,
    private readonly subscriptions: Subscriptions,
    private readonly presence: Presence,
    private readonly sources: Sources,
    private readonly turnstile: ReadTurnstile,
  ) {}

  /** Takes a place within the limits; throws when there is none. */
  async admit(clientId: string, principalId: string): Promise<void> {
    const verdict = await this.state.admit(clientId, principalId);
    if (verdict === 'admitted') return;
    const whose = verdict === 'client_full' ? 'this client' : 'this key';
    throw new ApiError('RATE_LIMIT_EXCEEDED', `Too many open connections of ${whose}`);
  }

  /** Gives a place back that no connection took. */
  giveUp(clientId: string, principalId: string): void {
    this.state.release(clientId, principalId);
  }

  /** Registers an admitted connection and greets it; ends it when the database cannot be asked. */
  async welcome(connection: Connection): Promise<void> {
    const { clientId } = connection.principal;
    if (connection.closed) return;
    if (this.connections.add(connection)) await this.broker.watchClient(clientId);
    try {
      await this.greet(connection);
    } catch {
      connection.end(UNREACHABLE);
    }
  }

  /** Forgets a connection that has closed. */
  goodbye(connection: Connection): void {
    const { clientId, userId, id } = connection.principal;
    const last = this.connections.remove(connection);
    this.state.release(clientId, id);
    if (last) {
      this.broker.unwatchClient(clientId);
      this.presence.forgetClient(clientId);
    }
    if (connection.present) this.leave(clientId, userId!);
  }

  /** After words of other processes may have been missed: who has joined a room meanwhile hears it. */
  async reconcile(): Promise<void> {
    const byClient = new Map<string, Map<string, Connection[]>>();
    for (const connection of this.connections.all) {
      const { clientId, userId } = connection.principal;
      if (userId === undefined || !connection.welcomed) continue;
      const users = byClient.get(clientId) ?? byClient.set(clientId, new Map()).get(clientId)!;
      users.set(userId, [...(users.get(userId) ?? []), connection]);
    }
    for (const [clientId, users] of byClient) {
      const userIds = [...users.keys()];
      for (let from = 0; from < userIds.length; from += RECONCILE_BATCH) {
        const batch = userIds.slice(from, from + RECONCILE_BATCH);
        const rooms = await this.sources.rooms.roomsOf(clientId, batch);
        for (const userId of batch) {
          for (const connection of users.get(userId)!)
            await this.subscriptions.recover(connection, rooms.get(userId) ?? []);
        }
      }
    }
  }

  private async greet(connection: Connection): Promise<void> {
    const { clientId, userId } = connection.principal;
    const news = userId !== undefined && (await this.presence.arrived(clientId, userId));
    // Closed meanwhile: its goodbye saw nobody who had arrived.
    if (connection.closed) return userId === undefined ? undefined : this.leave(clientId, userId);
    connection.present = userId !== undefined;
    let rooms: MemberRoom[];
    let online: string[] = [];
    // A membership that changed while we read is not in what we read.
    do {
      connection.stale = false;
      rooms = userId === undefined || !mayHear(connection) ? [] : await this.roomsOf(clientId, userId);
      if (rooms.length > 0)
        online = await this.turnstile.pass(clientId, () => this.presence.companions(clientId, userId!));
    } while (connection.stale && !connection.closed);
    if (connection.closed) return;
    connection.welcomed = true;
    const positions = this.subscriptions.enter(connection, rooms);
    connection.send(
      serverFrame('connection_status', {
        status: 'connected',
        user_id: userId ?? null,
        rooms: positions,
        online_users: online,
      }),
    );
    if (news)
      this.presence.tellOnline(
        clientId,
        userId,
        rooms.map((room) => room.roomId),
      );
  }

  private leave(clientId: string, userId: string): void {
    if (!this.connections.hasUser(userId)) this.presence.departed(clientId, userId);
  }

  private async roomsOf(clientId: string, userId: string): Promise<MemberRoom[]> {
    const rooms = await this.turnstile.pass(clientId, () => this.sources.rooms.roomsOf(clientId, [userId]));
    return rooms.get(userId) ?? [];
  }
}
