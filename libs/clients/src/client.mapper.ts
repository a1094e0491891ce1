import { keyHint, type Scope } from '#libs/security';
import type { ApiKeyDto, ClientDto } from './client.dto.js';

/** A row of `clients`. */
export interface ClientRow {
  id: string;
  name: string;
  description: string | null;
  is_active: boolean;
  created_at: Date;
  updated_at: Date;
}

/** A row of `api_keys`, without the hash. */
export interface ApiKeyRow {
  id: string;
  public_id: string;
  is_master: boolean;
  name: string | null;
  scopes: Scope[];
  expires_at: Date | null;
  last_used_at: Date | null;
  created_at: Date;
}

/** Row → contract. */
export function toClientDto(row: ClientRow): ClientDto {
  return {
    id: row.id,
    name: row.name,
    description: row.description,
    is_active: row.is_active,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
}

/** Row → contract. */
export function toApiKeyDto(row: ApiKeyRow): ApiKeyDto {
  return {
    id: row.id,
    name: row.name,
    hint: keyHint('client', row.public_id),
    is_master: row.is_master,
    scopes: row.scopes,
    expires_at: row.expires_at?.toISOString() ?? null,
    last_used_at: row.last_used_at?.toISOString() ?? null,
    created_at: row.created_at.toISOString(),
  };
}
