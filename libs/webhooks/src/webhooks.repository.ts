import { Injectable } from '@nestjs/common';
import type { Page } from '#libs/common';
import { addDateRange, Conditions, Database, listPage, type SortColumn, type Sql, type Tx } from '#libs/database';
import type { WebhookDto, WebhookListQueryDto, WebhookUpdateDto } from './webhook.dto.js';
import { toWebhookDto, WEBHOOK_COLUMNS, type WebhookRow } from './webhook.mapper.js';

const SORTS: Record<string, SortColumn> = {
  created_at: { sql: 'created_at', type: 'timestamptz' },
  updated_at: { sql: 'updated_at', type: 'timestamptz' },
};

/** What inserts an endpoint; the secret is sealed. */
export interface WebhookInsert {
  id: string;
  url: string;
  description: string | null;
  events: string[];
  roomIds: string[];
  ordered: boolean;
  isActive: boolean;
  secret: Buffer;
  customHeaders: object;
  meta: object;
}

/** The sealed secrets of an endpoint. */
export interface SecretRow {
  secret: Buffer;
  previous_secret_until: Date | null;
}

/** Every query on endpoints but those of the deliveries. */
@Injectable()
export class WebhooksRepository {
  constructor(private readonly database: Database) {}

  async insert(tx: Tx, clientId: string, webhook: WebhookInsert): Promise<WebhookRow> {
    const rows = await tx.query<WebhookRow>(
      `INSERT INTO webhook_endpoints (client_id, id, url, description, events, room_ids, ordered, is_active,
         disabled_reason, secret, custom_headers, meta, created_at, updated_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, CASE WHEN $8 THEN NULL ELSE 'manual' END, $9, $10, $11, now(), now())
       RETURNING ${WEBHOOK_COLUMNS}`,
      [
        clientId,
        webhook.id,
        webhook.url,
        webhook.description,
        webhook.events,
        webhook.roomIds,
        webhook.ordered,
        webhook.isActive,
        webhook.secret,
        webhook.customHeaders,
        webhook.meta,
      ],
    );
    return rows[0]!;
  }

  list(clientId: string, query: WebhookListQueryDto): Promise<Page<WebhookDto>> {
    const where = new Conditions().add('client_id = ?', clientId).when(query.is_active, 'is_active = ?');
    addDateRange(where, 'created_at', query);
    return listPage<WebhookRow, WebhookDto>(
      this.database,
      query,
      { select: WEBHOOK_COLUMNS, from: 'webhook_endpoints', where, sorts: SORTS, id: 'id' },
      toWebhookDto,
    );
  }

  async find(sql: Sql | undefined, clientId: string, id: string): Promise<WebhookRow | undefined> {
    const [row] = await (sql ?? this.database).query<WebhookRow>(
      `SELECT ${WEBHOOK_COLUMNS} FROM webhook_endpoints WHERE client_id = $1 AND id = $2`,
      [clientId, id],
    );
    return row;
  }

  /** The sealed secret, and until when the one before it signs too. */
  async findSecret(clientId: string, id: string): Promise<SecretRow | undefined> {
    const [row] = await this.database.query<SecretRow>(
      `SELECT secret, CASE WHEN previous_secret_until > now() THEN previous_secret_until END AS previous_secret_until
       FROM webhook_endpoints WHERE client_id = $1 AND id = $2`,
      [clientId, id],
    );
    return row;
  }

  /** Changes an endpoint; one that is switched on again starts without its failures. */
  async update(tx: Tx, clientId: string, id: string, change: WebhookUpdateDto): Promise<WebhookRow | undefined> {
    const params: unknown[] = [clientId, id];
    const sets = ['updated_at = now()'];
    const columns = [
      'url',
      'description',
      'events',
      'room_ids',
      'ordered',
      'is_active',
      'custom_headers',
      'meta',
    ] as const;
    for (const column of columns) {
      if (change[column] === undefined) continue;
      params.push(change[column]);
      sets.push(`${column} = $${params.length}`);
    }
    if (change.is_active === false) sets.push(`disabled_reason = coalesce(disabled_reason, 'manual')`);
    if (change.is_active === true) sets.push('disabled_reason = NULL, consecutive_failures = 0, failing_since = NULL');
    const rows = await tx.query<WebhookRow>(
      `UPDATE webhook_endpoints SET ${sets.join(', ')} WHERE client_id = $1 AND id = $2 RETURNING ${WEBHOOK_COLUMNS}`,
      params,
    );
    return rows[0];
  }

  async remove(tx: Tx, clientId: string, id: string): Promise<boolean> {
    const rows = await tx.query('DELETE FROM webhook_endpoints WHERE client_id = $1 AND id = $2 RETURNING id', [
      clientId,
      id,
    ]);
    return rows.length > 0;
  }

  /** Puts a new secret in place; the old one goes on signing for the grace. */
  async rotateSecret(
    tx: Tx,
    clientId: string,
    id: string,
    secret: Buffer,
    graceSeconds: number,
  ): Promise<SecretRow | undefined> {
    const rows = await tx.query<SecretRow>(
      `UPDATE webhook_endpoints SET secret = $3, updated_at = now(),
         previous_secret = CASE WHEN $4 > 0 THEN secret END,
         previous_secret_until = CASE WHEN $4 > 0 THEN now() + make_interval(secs => $4) END
       WHERE client_id = $1 AND id = $2 RETURNING secret, previous_secret_until`,
      [clientId, id, secret, graceSeconds],
    );
    return rows[0];
  }

  /** How many of the ids are rooms of this client. */
  async countRooms(tx: Tx, clientId: string, roomIds: string[]): Promise<number> {
    const rows = await tx.query<{ n: number }>(
      'SELECT count(*) AS n FROM rooms WHERE client_id = $1 AND id = ANY($2::uuid[])',
      [clientId, roomIds],
    );
    return rows[0]!.n;
  }
}
