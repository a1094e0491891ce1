import type { UserDto } from './user.dto.js';

/** A row of `users` that is not deleted: a deleted one has neither address nor username. */
export interface UserRow {
  id: string;
  external_id: string | null;
  email: string;
  username: string;
  full_name: string | null;
  meta: object;
  is_active: boolean;
  last_seen_at: Date | null;
  created_at: Date;
  updated_at: Date;
}

/** Columns of {@link UserRow}. */
export const USER_COLUMNS =
  'id, external_id, email, username, full_name, meta, is_active, last_seen_at, created_at, updated_at';

/** Row → contract. */
export function toUserDto(row: UserRow): UserDto {
  return {
    id: row.id,
    external_id: row.external_id,
    email: row.email,
    username: row.username,
    full_name: row.full_name,
    meta: row.meta,
    is_active: row.is_active,
    last_seen_at: row.last_seen_at?.toISOString() ?? null,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
}
