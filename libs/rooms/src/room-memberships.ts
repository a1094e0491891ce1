import { Injectable } from '@nestjs/common';
import type { Frame, LeaveReason } from '#libs/contracts';
import type { Tx } from '#libs/database';
import { EventLog } from '#libs/events';
import { Hub } from '#libs/realtime';
import { RoomMembersRepository } from './room-members.repository.js';
import type { Role } from './room.dto.js';

/** Begins and ends memberships, with everything that follows from it. The room's counters are locked by this transaction. */
@Injectable()
export class RoomMemberships {
  constructor(
    private readonly repository: RoomMembersRepository,
    private readonly events: EventLog,
    private readonly hub: Hub,
  ) {}

  /** Makes the user a member. */
  async begin(tx: Tx, clientId: string, roomId: string, userId: string, role: Role): Promise<void> {
    const { seq, user_name, at } = await this.repository.insert(tx, clientId, roomId, userId, role);
    const data = { user_id: userId, user_name, joined_at: at.toISOString() };
    await this.events.add(tx, { clientId, event: 'room.joined', roomId, data: { room_id: roomId, ...data, role } });
    const frame: Frame = { type: 'user_joined', room_id: roomId, seq, data, timestamp: data.joined_at };
    tx.afterCommit(() => this.hub.changed({ clientId, roomId, seq, frame }));
  }

  /** Ends the membership; the last owner hands the room on. */
  async end(tx: Tx, clientId: string, roomId: string, userId: string, reason: LeaveReason): Promise<void> {
    const { seq, user_name, at } = await this.repository.end(tx, clientId, roomId, userId, reason);
    await this.repository.ensureOwner(tx, clientId, roomId);
    const data = { user_id: userId, user_name, left_at: at.toISOString(), reason };
    await this.events.add(tx, { clientId, event: 'room.left', roomId, data: { room_id: roomId, ...data } });
    const frame: Frame = { type: 'user_left', room_id: roomId, seq, data, timestamp: data.left_at };
    tx.afterCommit(() => this.hub.changed({ clientId, roomId, seq, frame }));
  }
}
