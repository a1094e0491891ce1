import { Injectable } from '@nestjs/common';
import type { Tx } from '#libs/database';
import type { Priority } from '#libs/jobs';
import type { EmailFallbackDto, NotificationStatus } from './notification.dto.js';

/** What a batch of attempts came to for one notification. */
export interface SettledSums {
  clientId: string;
  id: string;
  sent: number;
  failed: number;
  /** Of those sent: how many reached a live socket. */
  live: number;
  /** Sum of the Unix milliseconds at which they were sent. */
  sentAtMs: number;
  lastSentAt: Date | null;
  errorCode: string | null;
  error: string | null;
}

/** A notification after its counts changed. */
export interface SettledRow {
  client_id: string;
  id: string;
  priority: Priority;
  status: NotificationStatus;
  finished: boolean;
  /** Nobody was online, and the mail for that case is not on its way yet. */
  fallback_due: boolean;
  email_fallback: EmailFallbackDto | null;
}

/** A fact to be told of a finished notification. */
export interface FinishedFact {
  clientId: string;
  id: string;
  eventId: string;
  event: string;
  patterns: string[];
}

// What will stand in recipients_pending, and whether the end is reached with it. x: what was settled.
const PENDING = 'n.recipients_pending - x.sent - x.failed';
const FALLBACK_DUE = `(${PENDING} = 0 AND n.type = 'websocket' AND n.live_count + x.live = 0 AND NOT n.fallback_sent
  AND coalesce((n.email_fallback ->> 'enabled')::boolean, n.email_fallback IS NOT NULL))`;
const FINISHED = `(${PENDING} = 0 AND NOT ${FALLBACK_DUE})`;

/** The queries of settling: over all tenants, since the queue is one. */
@Injectable()
export class NotificationSettlementRepository {
  /** Adds what was settled to the counts; the rows come in key order, and are locked in it. */
  async apply(tx: Tx, sums: SettledSums[]): Promise<SettledRow[]> {
    if (sums.length > 1) {
      // An UPDATE locks in the order of its plan: two batches with notifications in common would wait for each other.
      await tx.query(
        `SELECT 1 FROM notifications n WHERE (n.client_id, n.id) IN (SELECT * FROM unnest($1::uuid[], $2::uuid[]))
         ORDER BY n.client_id, n.id FOR NO KEY UPDATE`,
        [sums.map((s) => s.clientId), sums.map((s) => s.id)],
      );
    }
    return tx.query<SettledRow>(
      `UPDATE notifications n SET
         recipients_sent = n.recipients_sent + x.sent,
         recipients_failed = n.recipients_failed + x.failed,
         recipients_pending = ${PENDING},
         live_count = n.live_count + x.live,
         delivery_ms = n.delivery_ms
           + greatest(0, x.sent_at_ms - x.sent * floor(extract(epoch FROM coalesce(n.scheduled_for, n.created_at)) * 1000))::bigint,
         sent_at = coalesce(x.last_sent_at, n.sent_at),
         error_code = CASE WHEN ${FINISHED} AND n.recipients_failed + x.failed = 0 THEN NULL ELSE coalesce(x.error_code, n.error_code) END,
         error = CASE WHEN ${FINISHED} AND n.recipients_failed + x.failed = 0 THEN NULL ELSE coalesce(x.error, n.error) END,
         status = CASE WHEN NOT ${FINISHED} THEN 'pending'
           WHEN n.recipients_failed + x.failed = 0 THEN 'sent'
           WHEN n.recipients_sent + x.sent = 0 THEN 'failed' ELSE 'partial' END,
         finished_at = CASE WHEN ${FINISHED} THEN now() END,
         updated_at = now()
       FROM unnest($1::uuid[], $2::uuid[], $3::integer[], $4::integer[], $5::integer[], $6::numeric[], $7::timestamptz[],
         $8::text[], $9::text[]) AS x (client_id, id, sent, failed, live, sent_at_ms, last_sent_at, error_code, error)
       WHERE n.client_id = x.client_id AND n.id = x.id
       RETURNING n.client_id, n.id, n.priority, n.status, n.finished_at IS NOT NULL AS finished,
         n.finished_at IS NULL AND n.recipients_pending = 0 AS fallback_due,
         CASE WHEN n.finished_at IS NULL AND n.recipients_pending = 0 THEN n.email_fallback END AS email_fallback`,
      [
        sums.map((s) => s.clientId),
        sums.map((s) => s.id),
        sums.map((s) => s.sent),
        sums.map((s) => s.failed),
        sums.map((s) => s.live),
        sums.map((s) => s.sentAtMs),
        sums.map((s) => s.lastSentAt),
        sums.map((s) => s.errorCode),
        sums.map((s) => s.error),
      ],
    );
  }

  /** More recipients: those of the fallback. */
  async addRecipients(tx: Tx, added: { clientId: string; id: string; count: number }[]): Promise<void> {
    await tx.query(
      `UPDATE notifications n SET recipients_total = n.recipients_total + x.count,
         recipients_pending = n.recipients_pending + x.count, fallback_sent = true
       FROM unnest($1::uuid[], $2::uuid[], $3::integer[]) AS x (client_id, id, count)
       WHERE n.client_id = x.client_id AND n.id = x.id`,
      [added.map((a) => a.clientId), added.map((a) => a.id), added.map((a) => a.count)],
    );
  }

  /** Logs the facts of tenants that have an endpoint for them; answers how many. Content is not part of them. */
  async tell(tx: Tx, facts: FinishedFact[]): Promise<number> {
    const rows = await tx.query(
      `INSERT INTO events (client_id, id, event, room_id, data, created_at)
       SELECT x.client_id, x.event_id, x.event, n.room_id, json_build_object('id', n.id, 'type', n.type, 'status', n.status,
         'priority', n.priority, 'subject', n.subject, 'to_email', n.to_email, 'room_id', n.room_id, 'user_ids', n.user_ids,
         'webhook_url', n.webhook_url, 'meta', n.meta, 'recipients', json_build_object('total', n.recipients_total,
           'pending', n.recipients_pending, 'sent', n.recipients_sent, 'failed', n.recipients_failed),
         'error_code', n.error_code, 'error', n.error,
         'sent_at', to_char(n.sent_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
         'created_at', to_char(n.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')), clock_timestamp()
       FROM jsonb_to_recordset($1::jsonb) AS x (client_id uuid, id uuid, event_id uuid, event text, patterns text[])
       JOIN notifications n ON n.client_id = x.client_id AND n.id = x.id
       WHERE EXISTS (SELECT 1 FROM webhook_endpoints w
         WHERE w.client_id = x.client_id AND w.is_active AND w.events && x.patterns)
       RETURNING id`,
      [
        JSON.stringify(
          facts.map((fact) => ({
            client_id: fact.clientId,
            id: fact.id,
            event_id: fact.eventId,
            event: fact.event,
            patterns: fact.patterns,
          })),
        ),
      ],
    );
    return rows.length;
  }
}
