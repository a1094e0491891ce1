import { Injectable } from '@nestjs/common';
import type { Page } from '#libs/common';
import { addDateRange, Conditions, Database, listPage, type SortColumn, type Sql, type Tx } from '#libs/database';
import type { NewKey, Scope } from '#libs/security';
import type { UserCreateDto, UserDto, UserListQueryDto, UserLoginDto, UserUpdateDto } from './user.dto.js';
import { toUserDto, USER_COLUMNS, type UserRow } from './user.mapper.js';

const SORTS: Record<string, SortColumn> = {
  created_at: { sql: 'created_at', type: 'timestamptz' },
  username: { sql: 'username', type: 'text' },
  email: { sql: 'lower(email)', type: 'text' },
  last_seen_at: { sql: `coalesce(last_seen_at, '-infinity')`, type: 'timestamptz' },
};

/** A user key to store. */
export interface UserKeyInsert {
  id: string;
  secret: NewKey;
  device: string | null;
  scopes: readonly Scope[];
  expiresAt: Date;
}

/** Every query on users and their keys. A deleted user is found by none of them. */
@Injectable()
export class UsersRepository {
  constructor(private readonly database: Database) {}

  async insert(tx: Tx, clientId: string, id: string, input: UserCreateDto): Promise<UserRow> {
    const rows = await tx.query<UserRow>(
      `INSERT INTO users (client_id, id, external_id, email, username, full_name, meta, created_at, updated_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, now(), now()) RETURNING ${USER_COLUMNS}`,
      [clientId, id, input.external_id ?? null, input.email, input.username, input.full_name ?? null, input.meta ?? {}],
    );
    return rows[0]!;
  }

  async find(clientId: string, userId: string): Promise<UserRow | undefined> {
    const [row] = await this.database.query<UserRow>(
      `SELECT ${USER_COLUMNS} FROM users WHERE client_id = $1 AND id = $2 AND deleted_at IS NULL`,
      [clientId, userId],
    );
    return row;
  }

  /** Locks the user named by a login, so that logins of one user go one after another. */
  async findForLogin(tx: Tx, clientId: string, input: UserLoginDto): Promise<UserRow | undefined> {
    const where = new Conditions()
      .add('client_id = ? AND deleted_at IS NULL', clientId)
      .when(input.user_id, 'id = ?')
      .when(input.external_id, 'external_id = ?')
      .when(input.email, 'lower(email) = lower(?)');
    const [row] = await tx.query<UserRow>(
      `SELECT ${USER_COLUMNS} FROM users WHERE ${where.sql} FOR NO KEY UPDATE`,
      where.params,
    );
    return row;
  }

  async lock(tx: Tx, clientId: string, userId: string): Promise<UserRow | undefined> {
    const [row] = await tx.query<UserRow>(
      `SELECT ${USER_COLUMNS} FROM users WHERE client_id = $1 AND id = $2 AND deleted_at IS NULL FOR NO KEY UPDATE`,
      [clientId, userId],
    );
    return row;
  }

  list(clientId: string, query: UserListQueryDto): Promise<Page<UserDto>> {
    const where = new Conditions()
      .add('client_id = ? AND deleted_at IS NULL', clientId)
      .when(query.is_active, 'is_active = ?');
    if (query.search !== undefined) {
      // By PostgreSQL on both sides: it and JavaScript differ in more than one letter.
      const text = `lower(${where.bind(query.search)})`;
      where.add(
        `(starts_with(lower(email), ${text}) OR starts_with(lower(username), ${text}) OR starts_with(lower(full_name), ${text}))`,
      );
    }
    addDateRange(where, 'created_at', query);
    return listPage<UserRow, UserDto>(
      this.database,
      query,
      { select: USER_COLUMNS, from: 'users', where, sorts: SORTS, id: 'id' },
      toUserDto,
    );
  }

  async update(tx: Tx, clientId: string, userId: string, change: UserUpdateDto): Promise<UserRow | undefined> {
    const params: unknown[] = [clientId, userId];
    const sets = ['updated_at = now()'];
    for (const column of ['email', 'username', 'full_name', 'external_id', 'meta', 'is_active'] as const) {
      if (change[column] === undefined) continue;
      params.push(change[column]);
      sets.push(`${column} = $${params.length}`);
    }
    const [row] = await tx.query<UserRow>(
      `UPDATE users SET ${sets.join(', ')} WHERE client_id = $1 AND id = $2 AND deleted_at IS NULL RETURNING ${USER_COLUMNS}`,
      params,
    );
    return row;
  }

  /** Moves last_seen_at forward. */
  async seen(clientId: string, userId: string, at: Date): Promise<void> {
    await this.database.query(
      `UPDATE users SET last_seen_at = greatest(last_seen_at, $3) WHERE client_id = $1 AND id = $2 AND deleted_at IS NULL`,
      [clientId, userId, at],
    );
  }

  /** Erases the personal fields; the row stays for the messages that point to it. */
  async erase(tx: Tx, clientId: string, userId: string): Promise<void> {
    await tx.query(
      `UPDATE users SET email = NULL, username = NULL, full_name = NULL, external_id = NULL, meta = '{}', is_active = false,
         last_seen_at = NULL, deleted_at = now(), updated_at = now() WHERE client_id = $1 AND id = $2`,
      [clientId, userId],
    );
  }

  async insertKey(tx: Tx, clientId: string, userId: string, key: UserKeyInsert): Promise<void> {
    await tx.query(
      `INSERT INTO api_keys (client_id, id, public_id, kind, hash, user_id, device, scopes, expires_at, created_at)
       VALUES ($1, $2, $3, 'user', $4, $5, $6, $7, $8, now())`,
      [clientId, key.id, key.secret.publicId, key.secret.hash, userId, key.device, key.scopes, key.expiresAt],
    );
  }

  /** Revokes the user's keys, or only one device's. */
  async revokeKeys(tx: Sql, clientId: string, userId: string, device?: string): Promise<void> {
    await tx.query(
      `UPDATE api_keys SET revoked_at = now() WHERE client_id = $1 AND user_id = $2 AND kind = 'user'
         AND revoked_at IS NULL AND ($3::text IS NULL OR device = $3)`,
      [clientId, userId, device ?? null],
    );
  }
}
