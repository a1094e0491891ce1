import { ApiProperty } from '@nestjs/swagger';
import { IsObject } from 'class-validator';
import {
  Email,
  EmailOrEmails,
  Emails,
  Example,
  Flag,
  Id,
  Ids,
  Instant,
  Int,
  Line,
  Meta,
  Nested,
  NestedList,
  Nullable,
  OneOf,
  Optional,
  Text,
} from '#libs/common';
import type { Priority } from '#libs/jobs';

/** How a notification reaches people. */
export const NOTIFICATION_TYPES = ['email', 'websocket', 'webhook'] as const;
/** One of {@link NOTIFICATION_TYPES}. */
export type NotificationType = (typeof NOTIFICATION_TYPES)[number];

/** Where a notification stands. */
export const NOTIFICATION_STATUSES = [
  'pending',
  'processing',
  'retrying',
  'sent',
  'partial',
  'failed',
  'cancelled',
] as const;
/** One of {@link NOTIFICATION_STATUSES}. */
export type NotificationStatus = (typeof NOTIFICATION_STATUSES)[number];

/** Priorities as the contract lists them, lowest first. */
export const NOTIFICATION_PRIORITIES = ['low', 'normal', 'high', 'urgent'] as const;

/** Most addresses of one notification. */
export const MAX_RECIPIENTS = 1000;
const MAX_COPIES = 50;

/** The mail that is sent when nobody a socket notification is meant for is online. */
export class EmailFallbackDto {
  /** False switches the fallback off. */
  @Optional()
  @Flag()
  enabled?: boolean = true;

  /** Who gets the mail: one address, or 1–1,000, each with a mail of its own. */
  @Optional()
  @EmailOrEmails(MAX_RECIPIENTS)
  to_email?: string | string[];

  /** Subject, 1–255 characters on one line; left out: the notification's. */
  @Optional()
  @Line(1, 255, { example: 'You missed something' })
  subject?: string;

  /** HTML or plain text, 1–100,000 characters; left out: the notification's. */
  @Optional()
  @Text(1, 100_000, { example: '<p>Come back and see.</p>' })
  content?: string;
}

const MAIL = {
  type: 'email',
  to_email: 'user@example.com',
  subject: 'Welcome!',
  content: '<h1>Welcome to our platform!</h1>',
  priority: 'normal',
};

/** What is to be sent, how, and to whom. */
@Example(MAIL)
export class NotificationCreateDto {
  /** How it goes: by e-mail, to live sockets and inboxes, or as one signed POST. */
  @OneOf(NOTIFICATION_TYPES)
  type: NotificationType;

  /** Subject of a mail (required), title elsewhere; 1–255 characters on one line. */
  @Optional()
  @Line(1, 255, { example: 'Welcome!' })
  subject?: string;

  /** HTML or plain text, 1–100,000 characters. */
  @Text(1, 100_000, { example: '<h1>Welcome to our platform!</h1>' })
  content: string;

  /** email: one address, or 1–1,000 that do not see one another; the same address twice gets one mail. */
  @Optional()
  @EmailOrEmails(MAX_RECIPIENTS)
  to_email?: string | string[];

  /** email: addresses in copy of every mail, at most 50. */
  @Optional()
  @Emails(0, MAX_COPIES)
  cc?: string[];

  /** email: addresses in blind copy of every mail, at most 50. */
  @Optional()
  @Emails(0, MAX_COPIES)
  bcc?: string[];

  /** email: where answers go. */
  @Optional()
  @Email()
  reply_to?: string;

  /** email: the sender, where the provider's configuration allows it. */
  @Optional()
  @Email()
  from_email?: string;

  /** email: the sender's name, 1–255 characters on one line. */
  @Optional()
  @Line(1, 255, { example: 'ChatAPI' })
  from_name?: string;

  /** websocket: everyone who is a member of this room when it is delivered. */
  @Optional()
  @Id()
  room_id?: string;

  /** websocket: these users, 1–1,000. */
  @Optional()
  @Ids(1, MAX_RECIPIENTS)
  user_ids?: string[];

  /** webhook: the URL that gets the POST. */
  @Optional()
  @Text(1, 2048, { format: 'uri', example: 'https://example.com/hooks' })
  webhook_url?: string;

  /** websocket: the mail to send when nobody of the target is online. */
  @Optional()
  @Nested(() => EmailFallbackDto)
  email_fallback?: EmailFallbackDto;

  /** More urgent ones go first. */
  @Optional()
  @OneOf(NOTIFICATION_PRIORITIES, { example: 'normal' })
  priority?: Priority = 'normal';

  /** Free data, a JSON object of at most 16 KiB; `action_url` and `icon` in it are shown to sockets as such. */
  @Optional()
  @Meta()
  meta?: object;

  /** Not before this instant, at most one year ahead. */
  @Optional()
  @Instant()
  scheduled_for?: string;
}

/** Several notifications, all of them or none. */
export class NotificationBatchCreateDto {
  /** 1–100 notifications. */
  @NestedList(() => NotificationCreateDto, 1, 100)
  notifications: NotificationCreateDto[];
}

/** How many recipients stand where. */
export class RecipientCountsDto {
  /** All of them. */
  @Int(0, Number.MAX_SAFE_INTEGER, { example: 1 })
  total: number;

  /** Not decided yet. */
  @Int(0, Number.MAX_SAFE_INTEGER, { example: 1 })
  pending: number;

  /** Taken by the provider, put into the inbox, or answered with 2xx. */
  @Int(0, Number.MAX_SAFE_INTEGER)
  sent: number;

  /** Given up. */
  @Int(0, Number.MAX_SAFE_INTEGER)
  failed: number;
}

/** A notification. */
@Example({
  ...MAIL,
  id: '0198c0de-1111-7000-8000-000000000001',
  status: 'pending',
  cc: null,
  bcc: null,
  reply_to: null,
  from_email: null,
  from_name: null,
  room_id: null,
  user_ids: null,
  webhook_url: null,
  meta: {},
  email_fallback: null,
  scheduled_for: null,
  recipients: { total: 1, pending: 1, sent: 0, failed: 0 },
  error_code: null,
  error: null,
  sent_at: null,
  created_at: '2024-01-01T12:00:00.000Z',
  updated_at: '2024-01-01T12:00:00.000Z',
})
export class NotificationDto {
  /** Identifier, time-ordered. */
  @Id()
  id: string;

  /** How it goes. */
  @OneOf(NOTIFICATION_TYPES)
  type: NotificationType;

  /** Where it stands; `partial` when some recipients failed for good. */
  @OneOf(NOTIFICATION_STATUSES)
  status: NotificationStatus;

  /** How urgent it is. */
  @OneOf(NOTIFICATION_PRIORITIES, { example: 'normal' })
  priority: Priority;

  /** Subject or title. */
  @Nullable()
  @Line(1, 255, { example: 'Welcome!' })
  subject: string | null;

  /** HTML or plain text. */
  @Text(1, 100_000, { example: '<h1>Welcome to our platform!</h1>' })
  content: string;

  /** email: who gets it, as it was asked for. */
  @Nullable()
  @EmailOrEmails(MAX_RECIPIENTS, { nullable: true })
  to_email: string | string[] | null;

  /** email: copies. */
  @Nullable()
  @Emails(0, MAX_COPIES)
  cc: string[] | null;

  /** email: blind copies. */
  @Nullable()
  @Emails(0, MAX_COPIES)
  bcc: string[] | null;

  /** email: where answers go. */
  @Nullable()
  @Email()
  reply_to: string | null;

  /** email: the sender asked for. */
  @Nullable()
  @Email()
  from_email: string | null;

  /** email: the sender's name. */
  @Nullable()
  @Line(1, 255, { example: 'ChatAPI' })
  from_name: string | null;

  /** websocket: the room. */
  @Nullable()
  @Id()
  room_id: string | null;

  /** websocket: the users. */
  @Nullable()
  @Ids(1, MAX_RECIPIENTS)
  user_ids: string[] | null;

  /** webhook: the URL. */
  @Nullable()
  @Text(1, 2048, { example: 'https://example.com/hooks' })
  webhook_url: string | null;

  /** Free data of the integrator. */
  @Meta()
  meta: object;

  /** websocket: the mail for when nobody is online. */
  @Nullable()
  @ApiProperty({ type: () => EmailFallbackDto, nullable: true })
  @IsObject()
  email_fallback: EmailFallbackDto | null;

  /** Not before this instant. */
  @Nullable()
  @Instant()
  scheduled_for: string | null;

  /** How many recipients stand where. */
  @ApiProperty({ type: () => RecipientCountsDto })
  @IsObject()
  recipients: RecipientCountsDto;

  /** Stable code of the latest failure; null when there is none, or it was overcome. */
  @Nullable()
  @Text(1, 64, { example: 'EMAIL_PROVIDER_NOT_CONFIGURED' })
  error_code: string | null;

  /** The latest failure, for people. */
  @Nullable()
  @Text(1, 500, { example: 'No email provider is configured' })
  error: string | null;

  /** When a recipient was last reached; null while none was. */
  @Nullable()
  @Instant()
  sent_at: string | null;

  /** When it was created. */
  @Instant()
  created_at: string;

  /** When it last changed. */
  @Instant()
  updated_at: string;
}

/** The notifications of a batch, in its order. */
export class NotificationBatchDto {
  /** One for each that was asked for. */
  @ApiProperty({ type: () => NotificationDto, isArray: true })
  @IsObject({ each: true })
  notifications: NotificationDto[];
}
