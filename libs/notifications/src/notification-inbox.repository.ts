import { Injectable } from '@nestjs/common';
import type { Page } from '#libs/common';
import { addDateRange, Conditions, Database, listPage, type SortColumn, type Tx } from '#libs/database';
import type { InboxListQueryDto, InboxNotificationDto } from './notification-inbox.dto.js';
import { toInboxDto, type InboxRow } from './notification-inbox.mapper.js';

const COLUMNS = 'n.id, n.subject, n.content, n.priority, n.meta, n.room_id, i.read_at, i.created_at';
const FROM = `notification_inbox i JOIN notifications n ON n.client_id = i.client_id AND n.id = i.notification_id`;

// Ids are time-ordered: the primary key of the inbox holds the order of the list.
const SORTS: Record<string, SortColumn> = { created_at: { sql: 'i.notification_id', type: 'uuid' } };

/** Every query on inboxes. */
@Injectable()
export class NotificationInboxRepository {
  constructor(private readonly database: Database) {}

  list(clientId: string, userId: string, query: InboxListQueryDto): Promise<Page<InboxNotificationDto>> {
    const where = new Conditions().add('i.client_id = ? AND i.user_id = ?', clientId, userId);
    if (query.is_read !== undefined) where.add(`i.read_at IS ${query.is_read ? 'NOT NULL' : 'NULL'}`);
    addDateRange(where, 'i.created_at', query);
    return listPage<InboxRow, InboxNotificationDto>(
      this.database,
      query,
      { select: COLUMNS, from: FROM, where, sorts: SORTS, id: 'i.notification_id' },
      toInboxDto,
    );
  }

  /** Marks one as read, keeping the first time; undefined when it is not in the user's inbox. */
  async markRead(clientId: string, userId: string, id: string): Promise<InboxRow | undefined> {
    const [row] = await this.database.query<InboxRow>(
      `UPDATE notification_inbox i SET read_at = coalesce(i.read_at, now()) FROM notifications n
       WHERE i.client_id = $1 AND i.user_id = $2 AND i.notification_id = $3
         AND n.client_id = i.client_id AND n.id = i.notification_id
       RETURNING ${COLUMNS}`,
      [clientId, userId, id],
    );
    return row;
  }

  /** Empties the inbox of a user who is being deleted. */
  async erase(tx: Tx, clientId: string, userId: string): Promise<void> {
    await tx.query('DELETE FROM notification_inbox WHERE client_id = $1 AND user_id = $2', [clientId, userId]);
  }
}
