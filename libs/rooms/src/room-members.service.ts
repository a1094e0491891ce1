import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Answer, ApiError, forbidden, invalid, notFound, type Page } from '#libs/common';
import type { Frame } from '#libs/contracts';
import type { Tx } from '#libs/database';
import { Hub } from '#libs/realtime';
import { UnitOfWork, type Principal } from '#libs/security';
import { UserLifecycle } from '#libs/users';
import { RoomMembersRepository, type LockedRoom } from './room-members.repository.js';
import { RoomMemberships } from './room-memberships.js';
import type {
  RoomJoinDto,
  RoomLeaveDto,
  RoomMemberDto,
  RoomMemberListQueryDto,
  RoomMembersAddDto,
  RoomMembersAddedDto,
  RoomReadDto,
  RoomReadStateDto,
} from './room-member.dto.js';
import type { Role } from './room.dto.js';
import { roomFull } from './room.errors.js';
import { toRoomMemberDto, unreadOf } from './room.mapper.js';
import { RoomsService } from './rooms.service.js';

/** Who is in a room, and what each may do. Every change is made under the lock of the room's counters. */
@Injectable()
export class RoomMembersService implements OnModuleInit {
  constructor(
    private readonly repository: RoomMembersRepository,
    private readonly memberships: RoomMemberships,
    private readonly rooms: RoomsService,
    private readonly uow: UnitOfWork,
    private readonly users: UserLifecycle,
    private readonly hub: Hub,
  ) {}

  onModuleInit(): void {
    this.users.onDelete(async (tx, clientId, userId) => {
      const roomIds = await this.repository.lockRoomsOf(tx, clientId, userId);
      await this.memberships.end(tx, clientId, userId, roomIds, 'deleted');
    });
  }

  /** Joins the caller, or with a client key the named user. Already in: 200. */
  join(caller: Principal, roomId: string, input: RoomJoinDto): Promise<Answer<RoomMemberDto>> {
    const userId = subjectOf(caller, input.user_id);
    if (caller.kind === 'user' && input.role !== undefined && input.role !== 'member') {
      throw forbidden('A user key joins as member');
    }
    return this.uow.run(caller, async (tx) => {
      const living = await this.repository.holdUsers(tx, caller.clientId, [userId]);
      const room = await this.lockRoom(tx, caller.clientId, roomId);
      const present = await this.repository.find(tx, caller.clientId, roomId, userId);
      if (present && present.left_at === null) return new Answer(toRoomMemberDto(present), 200);
      if (caller.kind === 'user' && room.visibility === 'private') throw forbidden('This room is private');
      if (room.member_count >= room.max_members || !isFor(room, userId)) throw roomFull();
      if (!living.has(userId)) throw notFound('User');
      await this.memberships.begin(tx, caller.clientId, roomId, userId, input.role ?? 'member');
      return new Answer(await this.read(tx, caller.clientId, roomId, userId), 201);
    });
  }

  /** Ends the caller's membership, or with a client key the named user's. */
  leave(caller: Principal, roomId: string, input: RoomLeaveDto): Promise<RoomMemberDto> {
    const userId = subjectOf(caller, input.user_id);
    return this.uow.run(caller, async (tx) => {
      await this.lockRoom(tx, caller.clientId, roomId);
      const present = await this.repository.find(tx, caller.clientId, roomId, userId);
      if (!present || present.left_at !== null) throw notFound('Member');
      await this.memberships.end(tx, caller.clientId, userId, [roomId], 'left');
      return this.read(tx, caller.clientId, roomId, userId);
    });
  }

  /** The members now. */
  async list(caller: Principal, roomId: string, query: RoomMemberListQueryDto): Promise<Page<RoomMemberDto>> {
    await this.rooms.requireAccess(caller, roomId);
    return this.repository.list(caller.clientId, roomId, query);
  }

  /** Adds users; all of them or none. Who is in already stays as it is. */
  async add(caller: Principal, roomId: string, input: RoomMembersAddDto): Promise<RoomMembersAddedDto> {
    await this.rooms.requireAccess(caller, roomId, ['owner', 'admin']);
    const userIds = [...new Set(input.user_ids.map((id) => id.toLowerCase()))];
    return this.uow.run(caller, async (tx) => {
      const living = await this.repository.holdUsers(tx, caller.clientId, userIds);
      const room = await this.rooms.lockAs(tx, caller, roomId, ['owner', 'admin']);
      let seats = room.max_members - room.member_count;
      const members: RoomMemberDto[] = [];
      for (const userId of userIds) {
        if (!living.has(userId)) throw notFound('User');
        const present = await this.repository.find(tx, caller.clientId, roomId, userId);
        if (!present || present.left_at !== null) {
          if (seats-- <= 0 || !isFor(room, userId)) throw roomFull();
          await this.memberships.begin(tx, caller.clientId, roomId, userId, input.role!);
        }
        members.push(await this.read(tx, caller.clientId, roomId, userId));
      }
      return { members };
    });
  }

  /** Changes a role. Only an owner (or a client key) makes or unmakes owners, and one owner stays. */
  async setRole(caller: Principal, roomId: string, userId: string, role: Role): Promise<RoomMemberDto> {
    await this.rooms.requireAccess(caller, roomId, ['owner', 'admin']);
    return this.uow.run(caller, async (tx) => {
      const target = await this.requireMember(tx, caller, roomId, userId, role === 'owner');
      await this.repository.setRole(tx, caller.clientId, roomId, userId, role);
      if (target.role === 'owner' && role !== 'owner') await this.requireOwnerLeft(tx, caller.clientId, roomId, userId);
      return this.read(tx, caller.clientId, roomId, userId);
    });
  }

  /** Removes a member. */
  async remove(caller: Principal, roomId: string, userId: string): Promise<void> {
    await this.rooms.requireAccess(caller, roomId, ['owner', 'admin']);
    await this.uow.run(caller, async (tx) => {
      await this.requireMember(tx, caller, roomId, userId, false);
      await this.memberships.end(tx, caller.clientId, userId, [roomId], 'removed');
      return {};
    });
  }

  /** Moves the caller's read cursor forward. */
  async markRead(caller: Principal, roomId: string, input: RoomReadDto): Promise<RoomReadStateDto> {
    if (caller.userId === undefined) throw forbidden('Only a user key has a read cursor');
    if ((input.seq === undefined) === (input.message_id === undefined)) {
      throw invalid({ field: 'seq', message: 'exactly one of seq and message_id must be given' });
    }
    await this.rooms.requireAccess(caller, roomId);
    const seq = input.seq ?? (await this.repository.seqOfMessage(caller.clientId, roomId, input.message_id!));
    if (seq === undefined) throw notFound('Message');
    const state = await this.repository.markRead(caller.clientId, roomId, caller.userId, seq);
    if (!state) throw forbidden('You are not a member of this room');
    this.tellRead(caller, roomId, state.last_read_seq);
    return { room_id: roomId, last_read_seq: state.last_read_seq, ...unreadOf(state.unread) };
  }

  private tellRead({ clientId, userId }: Principal, roomId: string, seq: number): void {
    const data = { user_id: userId, seq };
    const frame: Frame = { type: 'read', room_id: roomId, data, timestamp: new Date().toISOString() };
    this.hub.told({ clientId, roomId, frame });
  }

  private async lockRoom(tx: Tx, clientId: string, roomId: string) {
    const room = await this.repository.lockRoom(tx, clientId, roomId);
    if (!room) throw notFound('Room');
    return room;
  }

  private async requireMember(tx: Tx, caller: Principal, roomId: string, userId: string, makesOwner: boolean) {
    await this.rooms.lockAs(tx, caller, roomId, ['owner', 'admin']);
    const target = await this.repository.find(tx, caller.clientId, roomId, userId);
    if (!target || target.left_at !== null) throw notFound('Member');
    if (caller.kind === 'user' && (makesOwner || target.role === 'owner')) {
      const own = await this.repository.find(tx, caller.clientId, roomId, caller.userId!);
      if (own?.role !== 'owner' || own.left_at !== null) throw forbidden('Only an owner can do this to an owner');
    }
    return target;
  }

  private async requireOwnerLeft(tx: Tx, clientId: string, roomId: string, userId: string): Promise<void> {
    await this.repository.ensureOwner(tx, clientId, [roomId]);
    const after = await this.repository.find(tx, clientId, roomId, userId);
    if (after?.role === 'owner') throw new ApiError('INVALID_STATE', 'A room keeps at least one owner');
  }

  private async read(tx: Tx, clientId: string, roomId: string, userId: string): Promise<RoomMemberDto> {
    return toRoomMemberDto((await this.repository.find(tx, clientId, roomId, userId))!);
  }
}

/** The seats of a direct room are its two users', whoever of them sits there now. */
function isFor({ direct_key: pair }: LockedRoom, userId: string): boolean {
  return pair === null || pair.split(':').includes(userId);
}

/** Who joins or leaves: a user key itself, a client key the named user. */
function subjectOf(caller: Principal, userId: string | undefined): string {
  if (caller.kind === 'user') {
    if (userId !== undefined && userId.toLowerCase() !== caller.userId)
      throw forbidden('A user key acts for itself only');
    return caller.userId!;
  }
  if (userId === undefined) throw invalid({ field: 'user_id', message: 'user_id is required with a client key' });
  return userId.toLowerCase();
}
