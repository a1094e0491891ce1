import { Injectable } from '@nestjs/common';
import type { Page } from '#libs/common';
import { addDateRange, Conditions, Database, listPage, type SortColumn, type Sql, type Tx } from '#libs/database';
import { deliveryParams, INSERT_DELIVERIES, type NewDelivery } from '#libs/jobs';
import type { NotificationInsert } from './notification-plan.js';
import type { NotificationListQueryDto } from './notification-query.dto.js';
import type { NotificationDto } from './notification.dto.js';
import { NOTIFICATION_COLUMNS, STATUS, toNotificationDto, type NotificationRow } from './notification.mapper.js';

// Ids are time-ordered and created_at is the id's own time, so the primary key holds the order of creation.
const SORTS: Record<string, SortColumn> = {
  created_at: { sql: 'n.id', type: 'uuid' },
  updated_at: { sql: 'n.updated_at', type: 'timestamptz' },
};
const ACTIVE = ['pending', 'processing', 'retrying'];

/** Inserts what stands in a JSON parameter. */
function insertFrom(parameter: string): string {
  return `INSERT INTO notifications (client_id, id, type, status, priority, subject, content, to_email, cc, bcc, reply_to,
      from_email, from_name, room_id, user_ids, webhook_url, email_fallback, meta, scheduled_for, recipients_total,
      recipients_pending, created_at, updated_at)
    SELECT client_id, id, type, 'pending', priority, subject, content, to_email, cc, bcc, reply_to, from_email, from_name,
      room_id, user_ids, webhook_url, email_fallback, meta, scheduled_for, recipients, recipients, created_at, created_at
    FROM json_to_recordset(${parameter}::json) AS x (client_id uuid, id uuid, type text, priority text, subject text,
      content text, to_email jsonb, cc text[], bcc text[], reply_to text, from_email text, from_name text, room_id uuid,
      user_ids uuid[], webhook_url text, email_fallback jsonb, meta jsonb, scheduled_for timestamptz,
      recipients integer, created_at timestamptz)`;
}

/** Every query on notifications but those of their settling. Finders always take the client id. */
@Injectable()
export class NotificationsRepository {
  constructor(private readonly database: Database) {}

  /** Inserts notifications in one statement, whatever their number. */
  async insert(tx: Tx, rows: NotificationInsert[]): Promise<void> {
    await tx.query(insertFrom('$1'), [JSON.stringify(rows)]);
  }

  /** Notifications and their deliveries in one statement and its own commit: one round trip, planned once. */
  async insertWithDeliveries(rows: NotificationInsert[], deliveries: NewDelivery[]): Promise<void> {
    await this.database.prepared('insert-notifications', `WITH added AS (${INSERT_DELIVERIES}) ${insertFrom('$11')}`, [
      ...deliveryParams(deliveries),
      JSON.stringify(rows),
    ]);
  }

  /** Those of the rooms that are the client's; they stay while the transaction runs. */
  async livingRooms(tx: Tx, clientId: string, roomIds: string[]): Promise<Set<string>> {
    const rows = await tx.query<{ id: string }>(
      'SELECT id FROM rooms WHERE client_id = $1 AND id = ANY($2::uuid[]) FOR KEY SHARE',
      [clientId, roomIds],
    );
    return new Set(rows.map((row) => row.id));
  }

  /** Those of the users that are the client's and not deleted. */
  async livingUsers(tx: Tx, clientId: string, userIds: string[]): Promise<Set<string>> {
    const rows = await tx.query<{ id: string }>(
      'SELECT id FROM users WHERE client_id = $1 AND id = ANY($2::uuid[]) AND deleted_at IS NULL',
      [clientId, userIds],
    );
    return new Set(rows.map((row) => row.id));
  }

  async find(sql: Sql | undefined, clientId: string, id: string): Promise<NotificationRow | undefined> {
    const [row] = await (sql ?? this.database).query<NotificationRow>(
      `SELECT ${NOTIFICATION_COLUMNS} FROM notifications n WHERE n.client_id = $1 AND n.id = $2`,
      [clientId, id],
    );
    return row;
  }

  list(clientId: string, query: NotificationListQueryDto): Promise<Page<NotificationDto>> {
    const where = new Conditions()
      .add('n.client_id = ?', clientId)
      .when(query.type, 'n.type = ?')
      .when(query.priority, 'n.priority = ?')
      .when(query.room_id, 'n.room_id = ?');
    if (query.recipient !== undefined) {
      where.add(
        `n.id IN (SELECT d.source_id FROM deliveries d WHERE d.client_id = ? AND md5(lower(d.target)) = md5(lower(?))
           AND d.kind IN ('email', 'websocket', 'notification.webhook'))`,
        clientId,
        query.recipient,
      );
    }
    if (query.status !== undefined && ACTIVE.includes(query.status)) {
      where.add(`n.finished_at IS NULL AND (${STATUS}) = ?`, query.status);
    } else if (query.status !== undefined) {
      where.add('n.finished_at IS NOT NULL AND n.status = ?', query.status);
    }
    addDateRange(where, 'n.created_at', query);
    return listPage<NotificationRow, NotificationDto>(
      this.database,
      query,
      { select: NOTIFICATION_COLUMNS, from: 'notifications n', where, sorts: SORTS, id: 'n.id' },
      toNotificationDto,
    );
  }

  /** The notification under its lock, which everyone takes who changes where it stands; undefined when there is none. */
  async lock(tx: Tx, clientId: string, id: string): Promise<NotificationRow | undefined> {
    const locked = await tx.query(
      'SELECT 1 FROM notifications n WHERE n.client_id = $1 AND n.id = $2 FOR NO KEY UPDATE',
      [clientId, id],
    );
    return locked.length === 0 ? undefined : this.find(tx, clientId, id);
  }

  async markCancelled(tx: Tx, clientId: string, id: string): Promise<void> {
    await tx.query(
      `UPDATE notifications SET status = 'cancelled', recipients_pending = 0, finished_at = now(), updated_at = now()
       WHERE client_id = $1 AND id = $2`,
      [clientId, id],
    );
  }

  /** Makes a finished notification active again for the recipients that failed. */
  async markReopened(tx: Tx, clientId: string, id: string): Promise<void> {
    await tx.query(
      `UPDATE notifications SET status = 'pending', recipients_pending = recipients_failed, recipients_failed = 0,
         error_code = NULL, error = NULL, finished_at = NULL, updated_at = now()
       WHERE client_id = $1 AND id = $2`,
      [clientId, id],
    );
  }
}
