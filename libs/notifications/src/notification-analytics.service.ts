import { Injectable } from '@nestjs/common';
import type { Principal } from '#libs/security';
import { NotificationAnalyticsRepository, type AnalyticsRow } from './notification-analytics.repository.js';
import type {
  ByChannelDto,
  ByStatusDto,
  ChannelCountsDto,
  DayCountsDto,
  NotificationAnalyticsDto,
  NotificationAnalyticsQueryDto,
} from './notification-query.dto.js';
import { NOTIFICATION_STATUSES, NOTIFICATION_TYPES } from './notification.dto.js';

/** What became of notifications, in numbers. */
@Injectable()
export class NotificationAnalyticsService {
  constructor(private readonly repository: NotificationAnalyticsRepository) {}

  /** PostgreSQL adds up by day, type and status; here those few sums are arranged. */
  async get(caller: Principal, query: NotificationAnalyticsQueryDto): Promise<NotificationAnalyticsDto> {
    return arrange(await this.repository.sums(caller.clientId, query));
  }
}

function channel(): ChannelCountsDto {
  return { notifications: 0, total: 0, successful: 0, failed: 0, pending: 0 };
}

function arrange(rows: AnalyticsRow[]): NotificationAnalyticsDto {
  const byChannel = Object.fromEntries(NOTIFICATION_TYPES.map((type) => [type, channel()])) as unknown as ByChannelDto;
  const byStatus = Object.fromEntries(NOTIFICATION_STATUSES.map((status) => [status, 0])) as unknown as ByStatusDto;
  const byDay = new Map<string, DayCountsDto>();
  const all = channel();
  let deliveryMs = 0;
  for (const row of rows) {
    const day = byDay.get(row.day) ?? { date: row.day, total: 0, successful: 0, failed: 0 };
    byDay.set(row.day, day);
    day.total += row.total;
    day.successful += row.sent;
    day.failed += row.failed;
    for (const counts of [all, byChannel[row.type]]) {
      counts.notifications += row.notifications;
      counts.total += row.total;
      counts.successful += row.sent;
      counts.failed += row.failed;
      counts.pending += row.pending;
    }
    byStatus[row.status] += row.notifications;
    deliveryMs += row.delivery_ms;
  }
  const decided = all.successful + all.failed;
  return {
    total_notifications: all.notifications,
    successful_deliveries: all.successful,
    failed_deliveries: all.failed,
    pending_deliveries: all.pending,
    success_rate: decided === 0 ? 0 : Math.round((all.successful / decided) * 10_000) / 100,
    by_channel: byChannel,
    by_status: byStatus,
    by_day: [...byDay.values()],
    avg_delivery_time_ms: all.successful === 0 ? null : Math.round((deliveryMs / all.successful) * 10) / 10,
  };
}
