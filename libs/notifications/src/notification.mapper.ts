import type { DeliveryWithAttempts, Priority } from '#libs/jobs';
import type { NotificationDeliveryDto, NotificationDetailDto } from './notification-detail.dto.js';
import type { NotificationInsert } from './notification-plan.js';
import type { EmailFallbackDto, NotificationDto, NotificationStatus, NotificationType } from './notification.dto.js';

/** A notification as it is read. */
export interface NotificationRow {
  id: string;
  type: NotificationType;
  status: NotificationStatus;
  priority: Priority;
  subject: string | null;
  content: string;
  to_email: string | string[] | null;
  cc: string[] | null;
  bcc: string[] | null;
  reply_to: string | null;
  from_email: string | null;
  from_name: string | null;
  room_id: string | null;
  user_ids: string[] | null;
  webhook_url: string | null;
  email_fallback: EmailFallbackDto | null;
  meta: object;
  scheduled_for: Date | null;
  recipients_total: number;
  recipients_pending: number;
  recipients_sent: number;
  recipients_failed: number;
  error_code: string | null;
  error: string | null;
  sent_at: Date | null;
  created_at: Date;
  updated_at: Date;
}

/**
 * Where a notification (`n`) stands: final once it is finished, else what its deliveries are doing this moment.
 * Uses deliveries_source_idx, for the few that are not finished.
 */
export const STATUS = `CASE WHEN n.finished_at IS NOT NULL THEN n.status
  WHEN EXISTS (SELECT 1 FROM deliveries d WHERE d.client_id = n.client_id AND d.source_id = n.id AND d.status = 'processing')
    THEN 'processing'
  WHEN EXISTS (SELECT 1 FROM deliveries d WHERE d.client_id = n.client_id AND d.source_id = n.id AND d.status = 'retrying')
    THEN 'retrying'
  WHEN n.recipients_pending = n.recipients_total THEN 'pending'
  ELSE 'processing' END`;

/** Columns of a notification (`n`). */
export const NOTIFICATION_COLUMNS = `n.id, n.type, ${STATUS} AS status, n.priority, n.subject, n.content, n.to_email, n.cc, n.bcc,
  n.reply_to, n.from_email, n.from_name, n.room_id, n.user_ids, n.webhook_url, n.email_fallback, n.meta, n.scheduled_for,
  n.recipients_total, n.recipients_pending, n.recipients_sent, n.recipients_failed, n.error_code, n.error, n.sent_at,
  n.created_at, n.updated_at`;

/** Row → contract. */
export function toNotificationDto(row: NotificationRow): NotificationDto {
  return {
    id: row.id,
    type: row.type,
    status: row.status,
    priority: row.priority,
    subject: row.subject,
    content: row.content,
    to_email: row.to_email,
    cc: row.cc,
    bcc: row.bcc,
    reply_to: row.reply_to,
    from_email: row.from_email,
    from_name: row.from_name,
    room_id: row.room_id,
    user_ids: row.user_ids,
    webhook_url: row.webhook_url,
    meta: row.meta,
    email_fallback: row.email_fallback,
    scheduled_for: row.scheduled_for?.toISOString() ?? null,
    recipients: {
      total: row.recipients_total,
      pending: row.recipients_pending,
      sent: row.recipients_sent,
      failed: row.recipients_failed,
    },
    error_code: row.error_code,
    error: row.error,
    sent_at: row.sent_at?.toISOString() ?? null,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
}

/** What was just written → contract. */
export function toCreatedDto({ client_id: _, recipients, ...row }: NotificationInsert): NotificationDto {
  return {
    ...row,
    status: 'pending',
    recipients: { total: recipients, pending: recipients, sent: 0, failed: 0 },
    error_code: null,
    error: null,
    sent_at: null,
    updated_at: row.created_at,
  };
}

/** Row and its deliveries → contract. */
export function toNotificationDetailDto(
  row: NotificationRow,
  deliveries: DeliveryWithAttempts[],
): NotificationDetailDto {
  return { ...toNotificationDto(row), deliveries: deliveries.map(toDeliveryDto) };
}

function toDeliveryDto(delivery: DeliveryWithAttempts): NotificationDeliveryDto {
  return {
    id: delivery.id,
    recipient: delivery.target,
    status: delivery.status,
    attempts: delivery.attempts.map((attempt) => ({
      attempt_number: attempt.attemptNumber,
      status: attempt.status,
      provider_name: attempt.providerName,
      provider_message_id: attempt.providerMessageId,
      error_code: attempt.errorCode,
      error: attempt.error,
      attempted_at: attempt.attemptedAt.toISOString(),
      response_time_ms: attempt.responseTimeMs,
    })),
    next_attempt_at: delivery.nextAttemptAt?.toISOString() ?? null,
  };
}
