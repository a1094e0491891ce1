import { ApiProperty, OmitType } from '@nestjs/swagger';
import { Allow, IsObject } from 'class-validator';
import { Id, Ids, Instant, Int, Meta, Nullable, OneOf, Text } from '#libs/common';
import { WebhookDto } from './webhook.dto.js';

/** `data` of `message.deleted`. */
export class MessageDeletedEventDto {
  /** The room. */
  @Id()
  room_id: string;

  /** The message. */
  @Id()
  id: string;

  /** The user who deleted it; null: the client. */
  @Nullable()
  @Id()
  deleted_by: string | null;

  /** When it was deleted. */
  @Instant()
  deleted_at: string;
}

/** `data` of `room.joined`. */
export class RoomJoinedEventDto {
  /** The room. */
  @Id()
  room_id: string;

  /** Who joined. */
  @Id()
  user_id: string;

  /** Name of who joined. */
  @Text(0, 255, { example: 'John Doe' })
  user_name: string;

  /** When. */
  @Instant()
  joined_at: string;

  /** Role of the new member. */
  @OneOf(['owner', 'admin', 'member'])
  role: string;
}

/** `data` of `room.left`. */
export class RoomLeftEventDto {
  /** The room. */
  @Id()
  room_id: string;

  /** Whose membership ended. */
  @Id()
  user_id: string;

  /** Name of the user. */
  @Text(0, 255, { example: 'John Doe' })
  user_name: string;

  /** When. */
  @Instant()
  left_at: string;

  /** By itself, removed by others, or because the user was deleted. */
  @OneOf(['left', 'removed', 'deleted'])
  reason: string;
}

/** `data` of `user.deleted`. */
export class UserDeletedEventDto {
  /** The user. */
  @Id()
  id: string;

  /** When it was deleted. */
  @Instant()
  deleted_at: string;
}

/** `data` of `webhook.disabled`: the endpoint without its headers, which may hold what only its receiver should know. */
export class WebhookDisabledEventDto extends OmitType(WebhookDto, ['custom_headers'] as const) {}

/** `data` of `webhook.test`. */
export class WebhookTestEventDto {
  /** The endpoint under test. */
  @Id()
  webhook_id: string;

  /** Says that this is a test. */
  @Text(1, 255, { example: 'This is a test delivery' })
  message: string;
}

/** `meta` of every payload. */
export class WebhookMetaDto {
  /** The client the event belongs to. */
  @Id()
  client_id: string;

  /** The endpoint. */
  @Id()
  webhook_id: string;

  /** The delivery; the same as the header `webhook-id`. */
  @Id()
  delivery_id: string;

  /** Always 1: the body is the same bytes in every attempt. `X-ChatAPI-Attempt` has the number. */
  @Int(1, 1)
  attempt: number;
}

/** How the recipients of a notification fared. */
export class NotificationCountsDto {
  /** All of them. */
  @Int(0, Number.MAX_SAFE_INTEGER, { example: 1 })
  total: number;

  /** Not decided yet. */
  @Int(0, Number.MAX_SAFE_INTEGER)
  pending: number;

  /** Reached. */
  @Int(0, Number.MAX_SAFE_INTEGER, { example: 1 })
  sent: number;

  /** Given up. */
  @Int(0, Number.MAX_SAFE_INTEGER)
  failed: number;
}

/** `data` of `notification.sent` and `notification.failed`: the notification without its content. */
export class NotificationEventDto {
  /** The notification. */
  @Id()
  id: string;

  /** How it went. */
  @OneOf(['email', 'websocket', 'webhook'])
  type: string;

  /** How it ended. */
  @OneOf(['sent', 'failed', 'partial'])
  status: string;

  /** How urgent it was. */
  @OneOf(['low', 'normal', 'high', 'urgent'], { example: 'normal' })
  priority: string;

  /** Subject or title. */
  @Nullable()
  @Text(1, 255, { example: 'Welcome!' })
  subject: string | null;

  /** email: who it was for, as it was asked for. */
  @ApiProperty({
    nullable: true,
    oneOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }],
    example: 'john@example.com',
  })
  @Allow()
  to_email: string | string[] | null;

  /** websocket: the room. */
  @Nullable()
  @Id()
  room_id: string | null;

  /** websocket: the users. */
  @Nullable()
  @Ids(0, 1000)
  user_ids: string[] | null;

  /** webhook: where it was posted. */
  @Nullable()
  @Text(1, 2048, { example: 'https://example.com/hook' })
  webhook_url: string | null;

  /** Free data of the integrator. */
  @Meta()
  meta: object;

  /** How its recipients fared. */
  @ApiProperty({ type: () => NotificationCountsDto })
  @IsObject()
  recipients: NotificationCountsDto;

  /** Why it failed, for programs. */
  @Nullable()
  @Text(1, 64, { example: 'EMAIL_RECIPIENT_REFUSED' })
  error_code: string | null;

  /** Why it failed, for people. */
  @Nullable()
  @Text(1, 500, { example: 'The mail server refused the recipient' })
  error: string | null;

  /** When its last recipient was reached. */
  @Nullable()
  @Instant()
  sent_at: string | null;

  /** When it was asked for. */
  @Instant()
  created_at: string;
}
