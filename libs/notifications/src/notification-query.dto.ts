import { ApiProperty } from '@nestjs/swagger';
import { IsNumber, IsObject } from 'class-validator';
import { DateOrInstant, Id, Int, ListQueryDto, OneOf, Optional, Text } from '#libs/common';
import type { Priority } from '#libs/jobs';
import {
  NOTIFICATION_PRIORITIES,
  NOTIFICATION_STATUSES,
  NOTIFICATION_TYPES,
  type NotificationStatus,
  type NotificationType,
} from './notification.dto.js';

/** How notifications are listed. */
export class NotificationListQueryDto extends ListQueryDto {
  /** Only those that stand there. */
  @Optional()
  @OneOf(NOTIFICATION_STATUSES)
  status?: NotificationStatus;

  /** Only those that go this way. */
  @Optional()
  @OneOf(NOTIFICATION_TYPES)
  type?: NotificationType;

  /** Only those of this priority. */
  @Optional()
  @OneOf(NOTIFICATION_PRIORITIES, { example: 'normal' })
  priority?: Priority;

  /** Only those to this address, user or room id, or URL; without regard to case. */
  @Optional()
  @Text(1, 2048, { example: 'user@example.com' })
  recipient?: string;

  /** Only those to this room. */
  @Optional()
  @Id()
  room_id?: string;

  /** Sort column. */
  @Optional()
  @OneOf(['created_at', 'updated_at'])
  override sort?: string = 'created_at';
}

/** What analytics look at. */
export class NotificationAnalyticsQueryDto {
  /** Only what was created at or after this date (whole UTC day) or instant. */
  @Optional()
  @DateOrInstant()
  start_date?: string;

  /** Only what was created at or before this date (whole UTC day, inclusive) or instant. */
  @Optional()
  @DateOrInstant()
  end_date?: string;

  /** Only notifications of this type. */
  @Optional()
  @OneOf(NOTIFICATION_TYPES)
  type?: NotificationType;
}

/** Deliveries of one channel. */
export class ChannelCountsDto {
  /** Notifications. */
  @Int(0, Number.MAX_SAFE_INTEGER, { example: 1 })
  notifications: number;

  /** Recipients. */
  @Int(0, Number.MAX_SAFE_INTEGER, { example: 1 })
  total: number;

  /** Recipients that were reached. */
  @Int(0, Number.MAX_SAFE_INTEGER, { example: 1 })
  successful: number;

  /** Recipients given up. */
  @Int(0, Number.MAX_SAFE_INTEGER)
  failed: number;

  /** Recipients not decided yet. */
  @Int(0, Number.MAX_SAFE_INTEGER)
  pending: number;
}

/** Every channel. */
export class ByChannelDto {
  /** E-mail. */
  @ApiProperty({ type: () => ChannelCountsDto })
  @IsObject()
  email: ChannelCountsDto;

  /** Sockets, with the mails of their fallbacks. */
  @ApiProperty({ type: () => ChannelCountsDto })
  @IsObject()
  websocket: ChannelCountsDto;

  /** Webhooks. */
  @ApiProperty({ type: () => ChannelCountsDto })
  @IsObject()
  webhook: ChannelCountsDto;
}

/** Notifications by where they stand. */
export class ByStatusDto {
  /** Nothing was tried yet. */
  @Int(0, Number.MAX_SAFE_INTEGER)
  pending: number;

  /** Being delivered. */
  @Int(0, Number.MAX_SAFE_INTEGER)
  processing: number;

  /** Waiting for the next try. */
  @Int(0, Number.MAX_SAFE_INTEGER)
  retrying: number;

  /** Every recipient was reached. */
  @Int(0, Number.MAX_SAFE_INTEGER, { example: 1 })
  sent: number;

  /** Some recipients failed for good. */
  @Int(0, Number.MAX_SAFE_INTEGER)
  partial: number;

  /** No recipient was reached. */
  @Int(0, Number.MAX_SAFE_INTEGER)
  failed: number;

  /** Cancelled before anything was tried. */
  @Int(0, Number.MAX_SAFE_INTEGER)
  cancelled: number;
}

/** One UTC day, by when the notifications were created. */
export class DayCountsDto {
  /** The day. */
  @ApiProperty({ type: 'string', format: 'date', example: '2024-01-31' })
  @DateOrInstant()
  date: string;

  /** Recipients of the notifications created that day. */
  @Int(0, Number.MAX_SAFE_INTEGER, { example: 1 })
  total: number;

  /** Those that were reached. */
  @Int(0, Number.MAX_SAFE_INTEGER, { example: 1 })
  successful: number;

  /** Those given up. */
  @Int(0, Number.MAX_SAFE_INTEGER)
  failed: number;
}

/** What became of the notifications created in a range. A delivery is one recipient of one notification. */
export class NotificationAnalyticsDto {
  /** Notifications. */
  @Int(0, Number.MAX_SAFE_INTEGER, { example: 1 })
  total_notifications: number;

  /** Recipients that were reached. */
  @Int(0, Number.MAX_SAFE_INTEGER, { example: 1 })
  successful_deliveries: number;

  /** Recipients given up. */
  @Int(0, Number.MAX_SAFE_INTEGER)
  failed_deliveries: number;

  /** Recipients not decided yet. */
  @Int(0, Number.MAX_SAFE_INTEGER)
  pending_deliveries: number;

  /** Percent of the decided recipients that were reached, two decimals; 0 when none is decided. */
  @ApiProperty({ type: 'number', minimum: 0, maximum: 100, example: 100 })
  @IsNumber()
  success_rate: number;

  /** By type of notification. */
  @ApiProperty({ type: () => ByChannelDto })
  @IsObject()
  by_channel: ByChannelDto;

  /** Notifications by status. */
  @ApiProperty({ type: () => ByStatusDto })
  @IsObject()
  by_status: ByStatusDto;

  /** Days with notifications, oldest first. */
  @ApiProperty({ type: () => DayCountsDto, isArray: true })
  @IsObject({ each: true })
  by_day: DayCountsDto[];

  /** Milliseconds from due (created, or scheduled for) to reached, on average over what was reached; null when nothing was. */
  @ApiProperty({ type: 'number', nullable: true, minimum: 0, example: 84.2 })
  @IsNumber()
  avg_delivery_time_ms: number | null;
}
