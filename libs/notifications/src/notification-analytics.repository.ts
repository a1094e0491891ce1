import { Injectable } from '@nestjs/common';
import { Conditions, Database, rangeEnd, rangeStart } from '#libs/database';
import type { NotificationAnalyticsQueryDto } from './notification-query.dto.js';
import type { NotificationStatus, NotificationType } from './notification.dto.js';
import { STATUS } from './notification.mapper.js';

/** Sums over the notifications of one day, type and status. */
export interface AnalyticsRow {
  day: string;
  type: NotificationType;
  status: NotificationStatus;
  notifications: number;
  total: number;
  sent: number;
  failed: number;
  pending: number;
  delivery_ms: number;
}

const DAY = `to_char((n.created_at AT TIME ZONE 'UTC')::date, 'YYYY-MM-DD')`;

/** The query behind the analytics. */
@Injectable()
export class NotificationAnalyticsRepository {
  constructor(private readonly database: Database) {}

  /**
   * What is at its end comes from notifications_finished_idx alone, which holds every column that is added up; what is
   * not are the few of notifications_active_idx, whose status is read from their deliveries.
   */
  async sums(clientId: string, query: NotificationAnalyticsQueryDto): Promise<AnalyticsRow[]> {
    const where = new Conditions().add('n.client_id = ?', clientId).when(query.type, 'n.type = ?');
    if (query.start_date) where.add('n.created_at >= ?', rangeStart(query.start_date));
    if (query.end_date) where.add('n.created_at <= ?', rangeEnd(query.end_date));
    return this.database.query<AnalyticsRow>(
      `SELECT day, type, status, sum(notifications)::bigint AS notifications, sum(total)::bigint AS total,
         sum(sent)::bigint AS sent, sum(failed)::bigint AS failed, sum(pending)::bigint AS pending,
         sum(delivery_ms)::bigint AS delivery_ms
       FROM (
         SELECT ${DAY} AS day, n.type, n.status, count(*) AS notifications, sum(n.recipients_total) AS total,
           sum(n.recipients_sent) AS sent, sum(n.recipients_failed) AS failed, 0 AS pending, sum(n.delivery_ms) AS delivery_ms
         FROM notifications n WHERE ${where.sql} AND n.finished_at IS NOT NULL
         GROUP BY (n.created_at AT TIME ZONE 'UTC')::date, n.type, n.status
         UNION ALL
         SELECT ${DAY}, n.type, ${STATUS}, 1, n.recipients_total, n.recipients_sent, n.recipients_failed,
           n.recipients_pending, n.delivery_ms
         FROM notifications n WHERE ${where.sql} AND n.finished_at IS NULL
       ) AS both_kinds
       GROUP BY day, type, status ORDER BY day`,
      where.params,
    );
  }
}
