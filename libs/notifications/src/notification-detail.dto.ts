import { ApiProperty } from '@nestjs/swagger';
import { IsObject } from 'class-validator';
import { Id, Instant, Int, Nullable, OneOf, Text } from '#libs/common';
import { ATTEMPT_STATUSES, DELIVERY_STATUSES, type AttemptStatus, type DeliveryStatus } from '#libs/jobs';
import { NotificationDto } from './notification.dto.js';

/** One try to reach a recipient. */
export class NotificationAttemptDto {
  /** From 1. */
  @Int(1, Number.MAX_SAFE_INTEGER)
  attempt_number: number;

  /** What it came to. */
  @OneOf(ATTEMPT_STATUSES)
  status: AttemptStatus;

  /** The e-mail provider; for sockets `socket` (someone was online) or `inbox`. */
  @Nullable()
  @Text(1, 64, { example: 'smtp' })
  provider_name: string | null;

  /** The provider's own id of the message. A failed attempt has one where it was sent to those in copy all the same. */
  @Nullable()
  @Text(1, 255, { example: '<0198c0de@example.com>' })
  provider_message_id: string | null;

  /** Stable code of the failure. */
  @Nullable()
  @Text(1, 64, { example: 'EMAIL_RECIPIENT_REFUSED' })
  error_code: string | null;

  /** The failure, for people. */
  @Nullable()
  @Text(1, 500, { example: 'The mail server refused the recipient' })
  error: string | null;

  /** When it began. */
  @Instant()
  attempted_at: string;

  /** Milliseconds until the receiver had answered. */
  @Int(0, Number.MAX_SAFE_INTEGER, { example: 12 })
  response_time_ms: number;
}

/** What became of one recipient. */
export class NotificationDeliveryDto {
  /** Identifier; the Message-ID of a mail is made of it. */
  @Id()
  id: string;

  /** The address, the user's or room's id, or the URL. */
  @Text(1, 2048, { example: 'user@example.com' })
  recipient: string;

  /** Where it stands. */
  @OneOf(DELIVERY_STATUSES)
  status: DeliveryStatus;

  /** Every try so far, oldest first. */
  @ApiProperty({ type: () => NotificationAttemptDto, isArray: true })
  @IsObject({ each: true })
  attempts: NotificationAttemptDto[];

  /** When the next try is due; null when none is. */
  @Nullable()
  @Instant()
  next_attempt_at: string | null;
}

/** A notification with what became of each recipient. */
export class NotificationDetailDto extends NotificationDto {
  /** One for each recipient. */
  @ApiProperty({ type: () => NotificationDeliveryDto, isArray: true })
  @IsObject({ each: true })
  deliveries: NotificationDeliveryDto[];
}
