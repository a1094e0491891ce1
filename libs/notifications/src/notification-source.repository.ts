import { Injectable } from '@nestjs/common';
import { Database } from '#libs/database';
import type { EmailFallbackDto, NotificationType } from './notification.dto.js';
import { LeasedReads, sourceKey, type ClaimedDelivery, type Priority } from '#libs/jobs';

/** What an attempt needs to know of its notification. */
export interface NotificationSource {
  id: string;
  type: NotificationType;
  priority: Priority;
  subject: string | null;
  content: string;
  cc: string[] | null;
  bcc: string[] | null;
  reply_to: string | null;
  from_email: string | null;
  from_name: string | null;
  room_id: string | null;
  email_fallback: EmailFallbackDto | null;
  meta: Record<string, unknown>;
  recipients_total: number;
  created_at: Date;
}

interface SourceRow extends NotificationSource {
  client_id: string;
}

/** What the delivery handlers read and write. */
@Injectable()
export class NotificationSourceRepository {
  constructor(private readonly database: Database) {}

  /** The notifications of deliveries, each once. */
  read(deliveries: readonly ClaimedDelivery[]): Promise<SourceRow[]> {
    return this.database.prepared<SourceRow>(
      'notification-sources',
      `SELECT n.client_id, n.id, n.type, n.priority, n.subject, n.content, n.cc, n.bcc, n.reply_to, n.from_email,
         n.from_name, n.room_id, n.email_fallback, n.meta, n.recipients_total, n.created_at
       FROM (SELECT DISTINCT * FROM unnest($1::uuid[], $2::uuid[])) AS x (client_id, id)
       JOIN notifications n ON n.client_id = x.client_id AND n.id = x.id`,
      [deliveries.map((one) => one.clientId), deliveries.map((one) => one.sourceId)],
    );
  }

  /** Whether an attempt of a mail was taken for those in copy although it failed: then it has an id of the provider. */
  async wereCopiesTaken(clientId: string, deliveryId: string): Promise<boolean> {
    const rows = await this.database.query(
      `SELECT 1 FROM delivery_attempts
       WHERE client_id = $1 AND delivery_id = $2 AND status = 'failed' AND provider_message_id IS NOT NULL LIMIT 1`,
      [clientId, deliveryId],
    );
    return rows.length > 0;
  }

  /** Puts a notification into the inboxes of a room's present members. Again does nothing. */
  async fillRoomInboxes(clientId: string, id: string, roomId: string): Promise<void> {
    await this.database.query(
      `INSERT INTO notification_inbox (client_id, user_id, notification_id, created_at)
       SELECT n.client_id, m.user_id, n.id, n.created_at
       FROM notifications n JOIN room_members m ON m.client_id = n.client_id AND m.room_id = $3 AND m.left_at IS NULL
       WHERE n.client_id = $1 AND n.id = $2
       ON CONFLICT DO NOTHING`,
      [clientId, id, roomId],
    );
  }

  /**
   * Puts a notification into a user's inbox, unless the user is gone. Again does nothing. Answers whether the user is
   * there, and whether the room the notification also goes to reaches the user anyway.
   */
  async fillInbox(
    clientId: string,
    id: string,
    userId: string,
    roomId: string | null,
  ): Promise<{ exists: boolean; inRoom: boolean }> {
    const [row] = await this.database.query<{ exists: boolean; in_room: boolean }>(
      `WITH reader AS (
         SELECT u.id FROM users u WHERE u.client_id = $1 AND u.id = $3 AND u.deleted_at IS NULL FOR SHARE
       ), filled AS (
         INSERT INTO notification_inbox (client_id, user_id, notification_id, created_at)
         SELECT n.client_id, r.id, n.id, n.created_at FROM notifications n, reader r WHERE n.client_id = $1 AND n.id = $2
         ON CONFLICT DO NOTHING
       )
       SELECT EXISTS (SELECT 1 FROM reader) AS exists,
         EXISTS (SELECT 1 FROM room_members m
           WHERE m.client_id = $1 AND m.room_id = $4 AND m.user_id = $3 AND m.left_at IS NULL) AS in_room`,
      [clientId, id, userId, roomId],
    );
    return { exists: row!.exists, inRoom: row!.in_room };
  }
}

/** The notifications of leased deliveries. */
@Injectable()
export class NotificationSources extends LeasedReads<SourceRow> {
  constructor(repository: NotificationSourceRepository) {
    super(
      (deliveries) => repository.read(deliveries),
      (row) => sourceKey(row.client_id, row.id),
    );
  }
}
