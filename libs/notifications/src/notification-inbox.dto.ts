import { Flag, Id, Instant, ListQueryDto, Meta, Nullable, OneOf, Optional, Text } from '#libs/common';
import type { Priority } from '#libs/jobs';
import { NOTIFICATION_PRIORITIES } from './notification.dto.js';

/** A notification as its reader sees it. */
export class InboxNotificationDto {
  /** Identifier. */
  @Id()
  id: string;

  /** Title. */
  @Nullable()
  @Text(1, 255, { example: 'Your order has shipped' })
  title: string | null;

  /** Text. */
  @Text(1, 100_000, { example: 'It arrives tomorrow.' })
  content: string;

  /** Where it leads; from `meta.action_url`. */
  @Nullable()
  @Text(1, 16_384, { example: 'https://example.com/orders/1' })
  action_url: string | null;

  /** From `meta.icon`. */
  @Nullable()
  @Text(1, 16_384, { example: 'truck' })
  icon: string | null;

  /** How urgent it is. */
  @OneOf(NOTIFICATION_PRIORITIES, { example: 'normal' })
  priority: Priority;

  /** Free data of the integrator. */
  @Meta()
  meta: object;

  /** The room it was sent to. */
  @Nullable()
  @Id()
  room_id: string | null;

  /** Whether the user has read it. */
  @Flag()
  is_read: boolean;

  /** When the user read it. */
  @Nullable()
  @Instant()
  read_at: string | null;

  /** When it was created. */
  @Instant()
  created_at: string;
}

/** How the inbox is listed. */
export class InboxListQueryDto extends ListQueryDto {
  /** Only read, or only unread ones. */
  @Optional()
  @Flag()
  is_read?: boolean;

  /** Sort column. */
  @Optional()
  @OneOf(['created_at'])
  override sort?: string = 'created_at';
}

/** The secret that signs a client's notification webhooks. */
export class NotificationSecretDto {
  /** `whsec_` and base64, for any library of Standard Webhooks. */
  @Text(1, 255, { example: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' })
  secret: string;

  /** When it was made. */
  @Instant()
  created_at: string;
}
