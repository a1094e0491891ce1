import { Injectable, type OnModuleInit } from '@nestjs/common';
import { forbidden } from '#libs/common';
import { Presence, Sources, Typing } from '#libs/realtime';
import type { Principal } from '#libs/security';
import { UsersService } from '#libs/users';
import type { RoomOnlineDto } from './room-online.dto.js';
import { RoomPresenceRepository } from './room-presence.repository.js';
import { RoomsService } from './rooms.service.js';

/** What is of the moment in a room: who is online, who types. Also hands the channel what it asks about rooms. */
@Injectable()
export class RoomPresenceService implements OnModuleInit {
  constructor(
    private readonly repository: RoomPresenceRepository,
    private readonly rooms: RoomsService,
    private readonly users: UsersService,
    private readonly sources: Sources,
    private readonly presence: Presence,
    private readonly typists: Typing,
  ) {}

  onModuleInit(): void {
    const { repository } = this;
    this.sources.provideRooms({
      roomsOf: (clientId, userIds) => repository.roomsOf(clientId, userIds),
      positions: (rooms) => repository.positions(rooms),
      membersAmong: (clientId, roomId, userIds) => repository.membersAmong(clientId, roomId, userIds),
      companionsOf: (clientId, userId, limit) => repository.companionsOf(clientId, userId, limit),
      requireAccess: (caller, roomId) => this.rooms.requireAccess(caller, roomId),
      seen: (clientId, userId, at) => this.users.seen(clientId, userId, at),
    });
  }

  /** The members who are online, on any process. */
  async online(caller: Principal, roomId: string): Promise<RoomOnlineDto> {
    await this.rooms.requireAccess(caller, roomId);
    const online = await this.presence.inRoom(caller.clientId, roomId);
    return { online_users: online, total_online: online.length };
  }

  /** Tells the others that the caller types, or has stopped. */
  async typing(caller: Principal, roomId: string, isTyping: boolean): Promise<void> {
    const { clientId, userId } = caller;
    if (userId === undefined) throw forbidden('Only a user types');
    await this.rooms.requireAccess(caller, roomId);
    const userName = (await this.repository.nameOf(clientId, userId)) ?? 'Deleted user';
    this.typists.set({ clientId, roomId, userId, userName }, isTyping);
  }
}
