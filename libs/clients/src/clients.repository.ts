import { Injectable } from '@nestjs/common';
import type { Page } from '#libs/common';
import { addDateRange, Conditions, Database, listPage, type Tx } from '#libs/database';
import type { NewKey, Scope } from '#libs/security';
import type { ApiKeyDto, ApiKeyListQueryDto, ClientUpdateDto } from './client.dto.js';
import { toApiKeyDto, type ApiKeyRow, type ClientRow } from './client.mapper.js';

const CLIENT = 'id, name, description, is_active, created_at, updated_at';
const KEY = 'id, public_id, is_master, name, scopes, expires_at, last_used_at, created_at';

/** A client key to store. */
export interface ClientKeyInsert {
  id: string;
  secret: NewKey;
  isMaster: boolean;
  name: string | null;
  scopes: readonly Scope[];
  expiresAt: Date | null;
}

/** Every query on clients and their own keys. */
@Injectable()
export class ClientsRepository {
  constructor(private readonly database: Database) {}

  async insert(tx: Tx, id: string, name: string, description: string | null): Promise<ClientRow> {
    const rows = await tx.query<ClientRow>(
      `INSERT INTO clients (id, name, description, created_at, updated_at) VALUES ($1, $2, $3, now(), now()) RETURNING ${CLIENT}`,
      [id, name, description],
    );
    return rows[0]!;
  }

  async find(clientId: string): Promise<ClientRow | undefined> {
    const [row] = await this.database.query<ClientRow>(`SELECT ${CLIENT} FROM clients WHERE id = $1`, [clientId]);
    return row;
  }

  async update(tx: Tx, clientId: string, change: ClientUpdateDto): Promise<ClientRow | undefined> {
    const [row] = await tx.query<ClientRow>(
      `UPDATE clients SET name = coalesce($2, name), description = CASE WHEN $3 THEN $4 ELSE description END,
         updated_at = now() WHERE id = $1 RETURNING ${CLIENT}`,
      [clientId, change.name ?? null, change.description !== undefined, change.description ?? null],
    );
    return row;
  }

  /** Erases the tenant: every tenant-owned table cascades from the client row. False when the name does not match. */
  async erase(tx: Tx, clientId: string, name: string): Promise<boolean> {
    await tx.patient();
    // A lock that lets others refer to the client: a relay of events serves everyone and must not wait for this.
    const named = 'SELECT 1 FROM clients WHERE id = $1 AND name = $2 FOR NO KEY UPDATE';
    if ((await tx.query(named, [clientId, name])).length === 0) return false;
    await tx.query('DELETE FROM idempotency_records WHERE client_id = $1', [clientId]);
    await tx.query('DELETE FROM messages WHERE client_id = $1', [clientId]);
    await tx.query('DELETE FROM rooms WHERE client_id = $1', [clientId]);
    // In the order in which attempts are recorded, so that neither waits for the other crosswise; and relays pass over
    // what is locked.
    const unfinished = 'SELECT 1 FROM deliveries WHERE client_id = $1 AND stage IS NOT NULL';
    await tx.query(`${unfinished} ORDER BY id FOR UPDATE`, [clientId]);
    await tx.query('SELECT 1 FROM events WHERE client_id = $1 AND relayed_at IS NULL FOR UPDATE', [clientId]);
    await tx.query('DELETE FROM clients WHERE id = $1', [clientId]);
    await tx.query('DELETE FROM events WHERE client_id = $1', [clientId]);
    return true;
  }

  async insertKey(tx: Tx, clientId: string, key: ClientKeyInsert): Promise<ApiKeyRow> {
    const rows = await tx.query<ApiKeyRow>(
      `INSERT INTO api_keys (client_id, id, public_id, kind, hash, is_master, name, scopes, expires_at, created_at)
       VALUES ($1, $2, $3, 'client', $4, $5, $6, $7, $8, now()) RETURNING ${KEY}`,
      [clientId, key.id, key.secret.publicId, key.secret.hash, key.isMaster, key.name, key.scopes, key.expiresAt],
    );
    return rows[0]!;
  }

  listKeys(clientId: string, query: ApiKeyListQueryDto): Promise<Page<ApiKeyDto>> {
    const where = new Conditions().add('client_id = ?', clientId).add(`kind = 'client' AND revoked_at IS NULL`);
    addDateRange(where, 'created_at', query);
    const sorts = { created_at: { sql: 'created_at', type: 'timestamptz' as const } };
    return listPage<ApiKeyRow, ApiKeyDto>(
      this.database,
      query,
      { select: KEY, from: 'api_keys', where, sorts, id: 'id' },
      toApiKeyDto,
    );
  }

  async findKeyForUpdate(tx: Tx, clientId: string, keyId: string): Promise<ApiKeyRow | undefined> {
    const [row] = await tx.query<ApiKeyRow>(
      `SELECT ${KEY} FROM api_keys WHERE client_id = $1 AND id = $2 AND kind = 'client' AND revoked_at IS NULL FOR UPDATE`,
      [clientId, keyId],
    );
    return row;
  }

  /** Ends a key now, or after the grace, and takes the master mark from it. */
  async endKey(tx: Tx, clientId: string, keyId: string, graceSeconds: number): Promise<void> {
    await tx.query(
      `UPDATE api_keys SET is_master = false, revoked_at = CASE WHEN $3 = 0 THEN now() END,
         expires_at = CASE WHEN $3 > 0 THEN now() + make_interval(secs => $3) ELSE expires_at END
       WHERE client_id = $1 AND id = $2`,
      [clientId, keyId, graceSeconds],
    );
  }
}
