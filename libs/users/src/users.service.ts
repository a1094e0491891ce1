import { Inject, Injectable } from '@nestjs/common';
import { forbidden, invalid, newId, notFound, type Page } from '#libs/common';
import { CONFIG, type Config } from '#libs/config';
import type { Tx } from '#libs/database';
import { EventLog } from '#libs/events';
import { createKey, KeyDirectory, UnitOfWork, USER_SCOPES, type Principal } from '#libs/security';
import type {
  CreatedUserDto,
  UserCreateDto,
  UserDto,
  UserListQueryDto,
  UserLoginDto,
  UserLoginResultDto,
  UserUpdateDto,
} from './user.dto.js';
import { takenField } from './user.errors.js';
import { toUserDto } from './user.mapper.js';
import { UserLifecycle } from './user-lifecycle.js';
import { UsersRepository } from './users.repository.js';

/** End users and their keys. */
@Injectable()
export class UsersService {
  constructor(
    private readonly repository: UsersRepository,
    private readonly uow: UnitOfWork,
    private readonly keys: KeyDirectory,
    private readonly lifecycle: UserLifecycle,
    private readonly events: EventLog,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** Creates a user with a first key; the unique indexes decide who wins a name. */
  async create(caller: Principal, input: UserCreateDto): Promise<CreatedUserDto> {
    const id = newId();
    try {
      return await this.uow.run(caller, async (tx) => {
        const row = await this.repository.insert(tx, caller.clientId, id, input);
        const user = toUserDto(row);
        await this.events.add(tx, { clientId: caller.clientId, event: 'user.created', data: user });
        return { ...user, ...(await this.issueKey(tx, caller, id, undefined)) };
      });
    } catch (error) {
      throw takenField(error);
    }
  }

  /**
   * Signs a user in with a new key. Old and new change in one commit under the user's row lock, so at no instant do
   * two keys of a device work, or none.
   */
  login(caller: Principal, input: UserLoginDto): Promise<UserLoginResultDto> {
    const named = [input.email, input.user_id, input.external_id].filter((value) => value !== undefined);
    if (named.length !== 1) {
      throw invalid({ field: 'email', message: 'exactly one of email, user_id and external_id must be given' });
    }
    return this.uow.run(caller, async (tx) => {
      const row = await this.repository.findForLogin(tx, caller.clientId, input);
      if (!row) throw notFound('User');
      if (!row.is_active) throw forbidden('This user is inactive');
      await this.repository.revokeKeys(tx, caller.clientId, row.id, input.device);
      await this.keys.revoked(tx, { clientId: caller.clientId, userId: row.id });
      return { user: toUserDto(row), ...(await this.issueKey(tx, caller, row.id, input.device)) };
    });
  }

  /** The users of the client. */
  list(caller: Principal, query: UserListQueryDto): Promise<Page<UserDto>> {
    return this.repository.list(caller.clientId, query);
  }

  /** One user; a user key sees its own only. */
  async get(caller: Principal, userId: string): Promise<UserDto> {
    const row = await this.repository.find(caller.clientId, this.reachable(caller, userId));
    if (!row) throw notFound('User');
    return toUserDto(row);
  }

  /** Changes a user. */
  async update(caller: Principal, userId: string, input: UserUpdateDto): Promise<UserDto> {
    const id = this.reachable(caller, userId);
    if (caller.kind === 'user') {
      const refused = (['email', 'external_id', 'is_active'] as const).find((field) => input[field] !== undefined);
      if (refused) throw forbidden(`A user key cannot change ${refused}`);
    }
    try {
      return await this.uow.run(caller, async (tx) => {
        const row = await this.repository.update(tx, caller.clientId, id, input);
        if (!row) throw notFound('User');
        if (input.is_active === false) await this.endKeys(tx, caller.clientId, id);
        const user = toUserDto(row);
        await this.events.add(tx, { clientId: caller.clientId, event: 'user.updated', data: user });
        return user;
      });
    } catch (error) {
      throw takenField(error);
    }
  }

  /** Keeps when a user was last connected. */
  seen(clientId: string, userId: string, at: Date): Promise<void> {
    return this.repository.seen(clientId, userId, at);
  }

  /** Deletes a user: keys revoked, memberships ended, personal fields erased; messages stay. */
  async remove(caller: Principal, userId: string): Promise<void> {
    await this.uow.run(caller, async (tx) => {
      if (!(await this.repository.lock(tx, caller.clientId, userId))) throw notFound('User');
      await this.lifecycle.deleting(tx, caller.clientId, userId);
      await this.endKeys(tx, caller.clientId, userId);
      await this.repository.erase(tx, caller.clientId, userId);
      const data = { id: userId, deleted_at: new Date().toISOString() };
      await this.events.add(tx, { clientId: caller.clientId, event: 'user.deleted', data });
      return {};
    });
  }

  /** `me` of a user key, else the id itself; another user's id is not found for a user key. */
  private reachable(caller: Principal, userId: string): string {
    if (caller.kind === 'user' && userId !== caller.userId) throw notFound('User');
    return userId;
  }

  private async endKeys(tx: Tx, clientId: string, userId: string): Promise<void> {
    await this.repository.revokeKeys(tx, clientId, userId);
    await this.keys.revoked(tx, { clientId, userId });
  }

  private async issueKey(
    tx: Tx,
    caller: Principal,
    userId: string,
    device: string | undefined,
  ): Promise<{ scoped_api_key: string; expires_at: string }> {
    const secret = createKey('user');
    const expiresAt = new Date(Date.now() + this.config.userKeyTtlSeconds * 1000);
    // A key made with a narrower key never grants what that one lacks.
    const scopes = USER_SCOPES.filter((scope) => caller.scopes.has(scope));
    await this.repository.insertKey(tx, caller.clientId, userId, {
      id: newId(),
      secret,
      device: device ?? null,
      scopes,
      expiresAt,
    });
    return { scoped_api_key: secret.key, expires_at: expiresAt.toISOString() };
  }
}
