import { Injectable } from '@nestjs/common';
import type { Tx } from '#libs/database';
import { WEBHOOK_COLUMNS, type WebhookRow } from './webhook.mapper.js';

/** How long an endpoint may fail without a single success. */
export const FAILING_DAYS = 5;

/** What a batch of attempts says about an endpoint: the failures are those after its last success. */
export interface EndpointResult {
  clientId: string;
  webhookId: string;
  lastAt: Date;
  succeeded: boolean;
  failures: number;
  firstFailureAt: Date | null;
  gone: boolean;
}

/** The queries that keep the state of endpoints. */
@Injectable()
export class EndpointHealthRepository {
  /**
   * Notes the results, and disables who answered 410 or has been failing for five days; answers those of them
   * that failed and are not active, and whether they were.
   * An endpoint that merely works is written once a second at most: every process would queue for its row otherwise.
   */
  record(tx: Tx, results: EndpointResult[]): Promise<(WebhookRow & { client_id: string; was_active: boolean })[]> {
    return tx.prepared(
      'endpoint-health',
      `WITH results AS MATERIALIZED (
         SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::boolean[], $5::integer[], $6::timestamptz[],
           $7::boolean[]) AS x (client_id, id, last_at, succeeded, failures, first_failure_at, gone)
       ), locked AS MATERIALIZED (
         SELECT r.*, w.is_active AS was_active, CASE
             WHEN r.failures = 0 THEN NULL
             WHEN r.succeeded THEN r.first_failure_at
             ELSE coalesce(w.failing_since, r.first_failure_at) END AS since
         FROM webhook_endpoints w JOIN results r ON w.client_id = r.client_id AND w.id = r.id
         WHERE r.failures > 0 OR w.consecutive_failures > 0 OR w.last_delivery_at IS NULL
           OR w.last_delivery_at < r.last_at - interval '1 second'
         ORDER BY w.client_id, w.id FOR UPDATE OF w
       ), updated AS (
         UPDATE webhook_endpoints w SET
           last_delivery_at = greatest(w.last_delivery_at, l.last_at),
           consecutive_failures = CASE WHEN l.succeeded THEN 0 ELSE w.consecutive_failures END + l.failures,
           failing_since = l.since,
           is_active = w.is_active AND NOT l.gone AND NOT l.since_too_long,
           disabled_reason = CASE WHEN NOT w.is_active THEN w.disabled_reason WHEN l.gone THEN 'gone'
             WHEN l.since_too_long THEN 'failing' END,
           updated_at = CASE WHEN w.is_active AND (l.gone OR l.since_too_long) THEN now() ELSE w.updated_at END
         FROM (SELECT k.*, coalesce(k.since <= k.last_at - interval '${FAILING_DAYS} days', false) AS since_too_long
           FROM locked k) l
         WHERE w.client_id = l.client_id AND w.id = l.id
         RETURNING w.*, l.was_active
       )
       SELECT client_id, was_active, ${WEBHOOK_COLUMNS} FROM updated WHERE NOT is_active`,
      [
        results.map((r) => r.clientId),
        results.map((r) => r.webhookId),
        results.map((r) => r.lastAt),
        results.map((r) => r.succeeded),
        results.map((r) => r.failures),
        results.map((r) => r.firstFailureAt),
        results.map((r) => r.gone),
      ],
    );
  }
}
