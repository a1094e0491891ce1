import { Injectable } from '@nestjs/common';
import type { Frame, LeaveReason } from '#libs/contracts';
import type { Tx } from '#libs/database';
import { EventLog, type NewEvent } from '#libs/events';
import { Hub, type RoomChange } from '#libs/realtime';
import { RoomMembersRepository } from './room-members.repository.js';
import type { Role } from './room.dto.js';

/** Begins and ends memberships, with everything that follows from it. The rooms' counters are locked by this transaction. */
@Injectable()
export class RoomMemberships {
  constructor(
    private readonly repository: RoomMembersRepository,
    private readonly events: EventLog,
    private readonly hub: Hub,
  ) {}

  /** Makes the user a member. */
  begin(tx: Tx, clientId: string, roomId: string, userId: string, role: Role): Promise<void> {
    return this.beginAll(tx, clientId, roomId, [{ userId, role }]);
  }

  /** Makes users members, in their order; `first` logs what is to be told before, when all of them are in. */
  async beginAll(
    tx: Tx,
    clientId: string,
    roomId: string,
    members: readonly { userId: string; role: Role }[],
    first?: () => Promise<unknown>,
  ): Promise<void> {
    const facts: NewEvent[] = [];
    const changes: RoomChange[] = [];
    for (const { userId, role } of members) {
      const { seq, user_name, at } = await this.repository.insert(tx, clientId, roomId, userId, role);
      const data = { user_id: userId, user_name, joined_at: at.toISOString() };
      facts.push({ clientId, event: 'room.joined', roomId, data: { room_id: roomId, ...data, role } });
      const frame: Frame = { type: 'user_joined', room_id: roomId, seq, data, timestamp: data.joined_at };
      changes.push({ clientId, roomId, seq, frame });
    }
    await first?.();
    await this.events.addAll(tx, facts);
    tx.afterCommit(() => this.hub.changed(...changes));
  }

  /** Ends the user's memberships of the rooms; where the last owner goes, the room is handed on. */
  async end(tx: Tx, clientId: string, userId: string, roomIds: string[], reason: LeaveReason): Promise<void> {
    if (roomIds.length === 0) return;
    const ended = await this.repository.end(tx, clientId, userId, roomIds, reason);
    const owned = ended.filter(({ role }) => role === 'owner').map(({ room_id: roomId }) => roomId);
    if (owned.length > 0) await this.repository.ensureOwner(tx, clientId, owned);
    const facts: NewEvent[] = [];
    const changes: RoomChange[] = [];
    for (const { room_id: roomId, seq, user_name, at } of ended) {
      const data = { user_id: userId, user_name, left_at: at.toISOString(), reason };
      facts.push({ clientId, event: 'room.left', roomId, data: { room_id: roomId, ...data } });
      const frame: Frame = { type: 'user_left', room_id: roomId, seq, data, timestamp: data.left_at };
      changes.push({ clientId, roomId, seq, frame });
    }
    await this.events.addAll(tx, facts);
    tx.afterCommit(() => this.hub.changed(...changes));
  }
}
