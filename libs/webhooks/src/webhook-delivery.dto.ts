import { ApiProperty } from '@nestjs/swagger';
import { IsArray, IsObject } from 'class-validator';
import { Id, Instant, Int, ListQueryDto, Nullable, OneOf, Optional, Text } from '#libs/common';
import { EVENT_NAMES, TEST_EVENT } from '#libs/contracts';
import { ATTEMPT_STATUSES, DELIVERY_STATUSES, type AttemptStatus, type DeliveryStatus } from '#libs/jobs';

const EVENTS = [...EVENT_NAMES, TEST_EVENT];

/** One event on its way to one endpoint. */
export class WebhookDeliveryDto {
  /** Identifier; the receiver sees it as `webhook-id` and `meta.delivery_id`. */
  @Id()
  id: string;

  /** The endpoint. */
  @Id()
  webhook_id: string;

  /** The event as receivers see it. */
  @Text(40, 40, { example: 'evt_0198c0de-1111-7000-8000-000000000001' })
  event_id: string;

  /** Name of the event. */
  @OneOf(EVENTS)
  event: string;

  /** Where it stands. */
  @OneOf(DELIVERY_STATUSES)
  status: DeliveryStatus;

  /** Attempts made. */
  @Int(0, 1_000_000, { example: 1 })
  attempt_count: number;

  /** When it is tried next; null once nothing is left to do. */
  @Nullable()
  @Instant()
  next_attempt_at: string | null;

  /** Why the latest attempt failed, for programs. */
  @Nullable()
  @Text(1, 64, { example: 'HTTP_STATUS' })
  error_code: string | null;

  /** Why the latest attempt failed, for people. */
  @Nullable()
  @Text(1, 500, { example: 'The receiver answered 500' })
  error: string | null;

  /** When it succeeded or was given up. */
  @Nullable()
  @Instant()
  finished_at: string | null;

  /** When it was queued. */
  @Instant()
  created_at: string;
}

/** One try of a delivery, with what the receiver answered. */
export class WebhookAttemptDto {
  /** Number of the attempt, from 1. */
  @Int(1, 1_000_000)
  attempt_number: number;

  /** What it came to. */
  @OneOf(ATTEMPT_STATUSES, { example: 'failed' })
  status: AttemptStatus;

  /** Status the receiver answered; null: none came. */
  @Nullable()
  @Int(100, 999, { example: 500 })
  status_code: number | null;

  /** Headers the receiver answered. */
  @Nullable()
  @ApiProperty({
    type: 'object',
    additionalProperties: { type: 'string' },
    nullable: true,
    example: { 'content-type': 'text/plain' },
  })
  @IsObject()
  response_headers: Record<string, string> | null;

  /** The first 16 KiB the receiver answered. */
  @Nullable()
  @Text(0, 16_384, { example: 'out of order' })
  response_body: string | null;

  /** Why it failed, for programs. */
  @Nullable()
  @Text(1, 64, { example: 'HTTP_STATUS' })
  error_code: string | null;

  /** Why it failed, for people. */
  @Nullable()
  @Text(1, 500, { example: 'The receiver answered 500' })
  error: string | null;

  /** Milliseconds the attempt took. */
  @Int(0, 1_000_000, { example: 42 })
  response_time_ms: number;

  /** When it began. */
  @Instant()
  attempted_at: string;
}

/** A delivery with its attempts. */
export class WebhookDeliveryDetailDto extends WebhookDeliveryDto {
  /** Its attempts, oldest first. */
  @ApiProperty({ type: () => WebhookAttemptDto, isArray: true })
  @IsArray()
  attempts: WebhookAttemptDto[];
}

/** How deliveries are listed. */
export class WebhookDeliveryListQueryDto extends ListQueryDto {
  /** Only deliveries that stand there. */
  @Optional()
  @OneOf(DELIVERY_STATUSES)
  status?: DeliveryStatus;

  /** Only deliveries of this event. */
  @Optional()
  @OneOf(EVENTS)
  event?: string;

  /** Sort column. */
  @Optional()
  @OneOf(['created_at'])
  override sort?: string = 'created_at';
}

/** What is sent again. */
export class WebhookRecoverDto {
  /** Everything that failed or was cancelled at or after this instant. */
  @Instant()
  since: string;
}

/** What was queued again. */
export class WebhookRecoveredDto {
  /** Deliveries that are tried again. */
  @Int(0, Number.MAX_SAFE_INTEGER)
  recovered: number;
}
