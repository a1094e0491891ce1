import { Injectable } from '@nestjs/common';
import { Answer, forbidden, invalid, newId, notFound, type Page } from '#libs/common';
import type { Tx } from '#libs/database';
import { EventLog } from '#libs/events';
import { Hub } from '#libs/realtime';
import { UnitOfWork, type Principal } from '#libs/security';
import { RoomMembersRepository, type LockedRoom } from './room-members.repository.js';
import { RoomMemberships } from './room-memberships.js';
import type { Role, RoomCreateDto, RoomDto, RoomListAllQueryDto, RoomListQueryDto, RoomUpdateDto } from './room.dto.js';
import { roomFull } from './room.errors.js';
import { toRoomDto } from './room.mapper.js';
import { RoomsRepository, type RoomInsert } from './rooms.repository.js';

const DEFAULT_MAX_MEMBERS = 100;

interface Plan {
  room: RoomInsert;
  /** In the order of joining, the owner first. */
  members: string[];
  ownerId: string | null;
}

/** Rooms. */
@Injectable()
export class RoomsService {
  constructor(
    private readonly repository: RoomsRepository,
    private readonly members: RoomMembersRepository,
    private readonly memberships: RoomMemberships,
    private readonly uow: UnitOfWork,
    private readonly events: EventLog,
    private readonly hub: Hub,
  ) {}

  /**
   * Creates a room; a direct room that exists for the pair is answered instead, whoever wins the race, with both in it
   * again.
   */
  create(caller: Principal, input: RoomCreateDto): Promise<Answer<RoomDto>> {
    const plan = planRoom(caller, input);
    return this.uow.run(caller, async (tx) => {
      await this.requireUsers(tx, caller.clientId, plan.members);
      // One that was erased between the two is made anew.
      while (!(await this.repository.insert(tx, caller.clientId, plan.room))) {
        const existing = await this.directRoom(tx, caller.clientId, plan);
        if (existing) return new Answer(existing, 200);
      }
      const members = plan.members.map(
        (userId) => ({ userId, role: userId === plan.ownerId ? 'owner' : 'member' }) as const,
      );
      let room!: RoomDto;
      await this.memberships.beginAll(tx, caller.clientId, plan.room.id, members, async () => {
        room = await this.tell(tx, caller.clientId, 'room.created', plan.room.id);
      });
      return new Answer(room, 201);
    });
  }

  /** A user's own rooms; with a client key all rooms, or one user's. */
  list(caller: Principal, query: RoomListQueryDto): Promise<Page<RoomDto>> {
    if (caller.kind === 'user' && query.user_id !== undefined && query.user_id.toLowerCase() !== caller.userId) {
      throw forbidden('A user key lists its own rooms only');
    }
    const userId = caller.userId ?? query.user_id;
    if (userId === undefined) return this.repository.listAll(caller.clientId, query);
    return this.repository.listOfUser(caller.clientId, userId, query);
  }

  /** Every room of the client. */
  listAll(caller: Principal, query: RoomListAllQueryDto): Promise<Page<RoomDto>> {
    return this.repository.listAll(caller.clientId, query);
  }

  /** One room. */
  async get(caller: Principal, roomId: string): Promise<RoomDto> {
    await this.requireAccess(caller, roomId);
    const row = caller.userId
      ? await this.repository.findForMember(caller.clientId, roomId, caller.userId)
      : await this.repository.find(undefined, caller.clientId, roomId);
    if (!row) throw notFound('Room');
    return toRoomDto(row);
  }

  /** Changes a room; owner, admin or client key. */
  async update(caller: Principal, roomId: string, input: RoomUpdateDto): Promise<RoomDto> {
    await this.requireAccess(caller, roomId, ['owner', 'admin']);
    return this.uow.run(caller, async (tx) => {
      const locked = await this.lockAs(tx, caller, roomId, ['owner', 'admin']);
      const before = (await this.repository.find(tx, caller.clientId, roomId))!;
      if (before.room_type === 'direct') {
        const fixed = (['name', 'visibility', 'max_members'] as const).find((field) => input[field] !== undefined);
        if (fixed) throw invalid({ field: fixed, message: `${fixed} of a direct room cannot be changed` });
      }
      if (input.max_members !== undefined && input.max_members < locked.member_count) {
        throw invalid({
          field: 'max_members',
          message: `max_members must not be below the ${locked.member_count} present members`,
        });
      }
      await this.repository.update(tx, caller.clientId, roomId, input);
      return this.tell(tx, caller.clientId, 'room.updated', roomId);
    });
  }

  /** Erases a room with its messages; owner or client key. */
  async remove(caller: Principal, roomId: string): Promise<void> {
    await this.requireAccess(caller, roomId, ['owner']);
    await this.uow.run(caller, async (tx) => {
      // Before the fact, as by everyone who changes the conversation: so it is the last one of the room.
      await this.lockAs(tx, caller, roomId, ['owner']);
      await this.tell(tx, caller.clientId, 'room.deleted', roomId);
      await this.repository.erase(tx, caller.clientId, roomId);
      tx.afterCommit(() => this.hub.erased(caller.clientId, roomId));
      return {};
    });
  }

  /** Passes when the caller may see the room (and has one of the roles): 404 when it is not of the tenant, else 403. */
  async requireAccess(caller: Principal, roomId: string, roles?: Role[], tx?: Tx): Promise<void> {
    const access = await this.repository.access(tx, caller.clientId, roomId, caller.userId);
    if (!access) throw notFound('Room');
    if (caller.kind === 'client') return;
    if (!access.role) throw forbidden('You are not a member of this room');
    if (roles && !roles.includes(access.role)) throw forbidden(`This needs the role ${roles.join(' or ')}`);
  }

  /**
   * Locks the room's counters for a caller who needs one of the roles. Roles change under that lock only, so what was
   * passed before it is asked again: whoever has lost the role meanwhile is refused.
   */
  async lockAs(tx: Tx, caller: Principal, roomId: string, roles: Role[]): Promise<LockedRoom> {
    const room = await this.members.lockRoom(tx, caller.clientId, roomId);
    if (!room) throw notFound('Room');
    if (caller.kind === 'user') await this.requireAccess(caller, roomId, roles, tx);
    return room;
  }

  /** The room of the pair; whoever of the two has left comes back. Undefined when it was erased a moment ago. */
  private async directRoom(tx: Tx, clientId: string, { room, members, ownerId }: Plan): Promise<RoomDto | undefined> {
    const found = await this.repository.findDirect(tx, clientId, room.directKey!);
    if (!found) return undefined;
    if ((await this.members.presentAmong(tx, clientId, found.id, members)).size === 2) return toRoomDto(found);
    if (!(await this.members.lockRoom(tx, clientId, found.id))) return undefined;
    const present = await this.members.presentAmong(tx, clientId, found.id, members);
    for (const userId of members) {
      if (!present.has(userId)) await this.memberships.begin(tx, clientId, found.id, userId, 'member');
    }
    if (ownerId !== null) await this.members.ensureOwner(tx, clientId, [found.id]);
    return toRoomDto((await this.repository.find(tx, clientId, found.id))!);
  }

  /** Logs the event with the room as it is now. */
  private async tell(
    tx: Tx,
    clientId: string,
    event: 'room.created' | 'room.updated' | 'room.deleted',
    roomId: string,
  ): Promise<RoomDto> {
    const row = await this.repository.find(tx, clientId, roomId);
    if (!row) throw notFound('Room');
    const room = toRoomDto(row);
    await this.events.add(tx, { clientId, event, roomId, data: room });
    return room;
  }

  private async requireUsers(tx: Tx, clientId: string, userIds: string[]): Promise<void> {
    if (userIds.length === 0) return;
    const living = await this.members.holdUsers(tx, clientId, userIds);
    if (userIds.some((id) => !living.has(id))) throw notFound('User');
  }
}

/** Settles what a creation asks for, before the database is asked. */
function planRoom(caller: Principal, input: RoomCreateDto): Plan {
  if (caller.kind === 'user' && input.owner_id !== undefined && input.owner_id.toLowerCase() !== caller.userId) {
    throw forbidden('A user key owns the rooms it creates');
  }
  const ownerId = caller.userId ?? input.owner_id?.toLowerCase() ?? null;
  const others = (input.member_ids ?? []).map((id) => id.toLowerCase());
  const members = [...new Set(ownerId === null ? others : [ownerId, ...others])];
  const direct = input.room_type === 'direct';
  if (direct) checkDirect(input, members);
  else if (input.name === undefined || input.name === null)
    throw invalid({ field: 'name', message: 'name is required' });
  const maxMembers = direct ? 2 : (input.max_members ?? DEFAULT_MAX_MEMBERS);
  if (members.length > maxMembers) throw roomFull();
  const room: RoomInsert = {
    id: newId(),
    name: direct ? null : input.name!,
    description: input.description ?? null,
    roomType: input.room_type!,
    visibility: direct ? 'private' : (input.visibility ?? 'public'),
    maxMembers,
    meta: input.meta ?? {},
    createdBy: caller.userId ?? null,
    directKey: direct ? [...members].sort().join(':') : null,
  };
  return { room, members, ownerId };
}

function checkDirect(input: RoomCreateDto, members: string[]): void {
  if (members.length !== 2) throw invalid({ field: 'member_ids', message: 'a direct room has exactly two members' });
  if (input.name) throw invalid({ field: 'name', message: 'a direct room has no name' });
  if (input.visibility === 'public') throw invalid({ field: 'visibility', message: 'a direct room is private' });
  if (input.max_members !== undefined && input.max_members !== 2) {
    throw invalid({ field: 'max_members', message: 'a direct room has 2 seats' });
  }
}
