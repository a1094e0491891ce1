import type { WebhookAttemptDto, WebhookDeliveryDto } from './webhook-delivery.dto.js';
import type { DisabledReason, WebhookDto } from './webhook.dto.js';
import type { DeliveryStatus } from '#libs/jobs';

/** Columns of an endpoint that are shown. */
export const WEBHOOK_COLUMNS = `id, url, description, events, room_ids, ordered, is_active, disabled_reason, custom_headers,
  meta, last_delivery_at, consecutive_failures, created_at, updated_at`;

/** A row of `webhook_endpoints`, without its secrets. */
export interface WebhookRow {
  id: string;
  url: string;
  description: string | null;
  events: string[];
  room_ids: string[];
  ordered: boolean;
  is_active: boolean;
  disabled_reason: DisabledReason | null;
  custom_headers: Record<string, string>;
  meta: object;
  last_delivery_at: Date | null;
  consecutive_failures: number;
  created_at: Date;
  updated_at: Date;
}

/** Row → contract. */
export function toWebhookDto(row: WebhookRow): WebhookDto {
  return {
    id: row.id,
    url: row.url,
    description: row.description,
    events: row.events,
    room_ids: row.room_ids,
    ordered: row.ordered,
    is_active: row.is_active,
    disabled_reason: row.disabled_reason,
    custom_headers: row.custom_headers,
    meta: row.meta,
    last_delivery_at: row.last_delivery_at?.toISOString() ?? null,
    consecutive_failures: row.consecutive_failures,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
}

/** A delivery (`d`); its subject is the name of the event. */
export interface WebhookDeliveryRow {
  id: string;
  lane: string;
  source_id: string;
  subject: string;
  status: DeliveryStatus;
  attempt_count: number;
  next_attempt_at: Date | null;
  error_code: string | null;
  error: string | null;
  finished_at: Date | null;
  created_at: Date;
}

/** Columns of a {@link WebhookDeliveryRow}. */
export const DELIVERY_COLUMNS = `d.id, d.lane, d.source_id, d.subject, d.status, d.attempt_count, d.next_attempt_at,
  d.error_code, d.error, d.finished_at, d.created_at`;

/** Row → contract. */
export function toDeliveryDto(row: WebhookDeliveryRow): WebhookDeliveryDto {
  return {
    id: row.id,
    webhook_id: row.lane,
    event_id: eventIdOf(row.source_id),
    event: row.subject,
    status: row.status,
    attempt_count: row.attempt_count,
    next_attempt_at: row.next_attempt_at?.toISOString() ?? null,
    error_code: row.error_code,
    error: row.error,
    finished_at: row.finished_at?.toISOString() ?? null,
    created_at: row.created_at.toISOString(),
  };
}

/** An event's id as receivers see it. */
export function eventIdOf(id: string): string {
  return `evt_${id}`;
}

/** A row of `delivery_attempts`. */
export type WebhookAttemptRow = Omit<WebhookAttemptDto, 'attempted_at'> & { attempted_at: Date };

/** Row → contract. */
export function toAttemptDto(row: WebhookAttemptRow): WebhookAttemptDto {
  return { ...row, attempted_at: row.attempted_at.toISOString() };
}
