import { Injectable } from '@nestjs/common';
import { Database, type Sql } from '#libs/database';
import type { AttemptStatus, DeliveryStatus } from './delivery.js';

/** What became of a delivery. */
export interface DeliveryRecord {
  id: string;
  kind: string;
  sourceId: string;
  lane: string;
  target: string;
  subject: string | null;
  status: DeliveryStatus;
  attemptCount: number;
  /** When it is tried next; null: not again. */
  nextAttemptAt: Date | null;
  errorCode: string | null;
  error: string | null;
  createdAt: Date;
  finishedAt: Date | null;
}

/** One try of a delivery. */
export interface AttemptEntry {
  attemptNumber: number;
  status: AttemptStatus;
  errorCode: string | null;
  error: string | null;
  providerName: string | null;
  providerMessageId: string | null;
  statusCode: number | null;
  responseHeaders: Record<string, string> | null;
  responseBody: string | null;
  responseTimeMs: number;
  attemptedAt: Date;
}

/** A delivery with its attempts, oldest first. */
export interface DeliveryWithAttempts extends DeliveryRecord {
  attempts: AttemptEntry[];
}

const COLUMNS = `d.id, d.kind, d.source_id AS "sourceId", d.lane, d.target, d.subject, d.status,
  d.attempt_count AS "attemptCount", CASE WHEN d.stage <> 'leased' THEN d.next_attempt_at END AS "nextAttemptAt",
  d.error_code AS "errorCode", d.error, d.created_at AS "createdAt", d.finished_at AS "finishedAt"`;

const ATTEMPT_COLUMNS = `delivery_id AS "deliveryId", attempt_number AS "attemptNumber", status, error_code AS "errorCode",
  error, provider_name AS "providerName", provider_message_id AS "providerMessageId", status_code AS "statusCode",
  response_headers AS "responseHeaders", response_body AS "responseBody", response_time_ms AS "responseTimeMs",
  attempted_at AS "attemptedAt"`;

/** Reads what became of deliveries, for the API. */
@Injectable()
export class DeliveryLog {
  constructor(private readonly database: Database) {}

  /** Every delivery of one notification or event with its attempts, in the order they were added. */
  async ofSource(clientId: string, sourceId: string, sql: Sql = this.database): Promise<DeliveryWithAttempts[]> {
    const found = await sql.query<DeliveryRecord>(
      `SELECT ${COLUMNS} FROM deliveries d WHERE d.client_id = $1 AND d.source_id = $2 ORDER BY d.id`,
      [clientId, sourceId],
    );
    return this.withAttempts(sql, clientId, found);
  }

  /** One delivery of a lane with its attempts; undefined: the tenant has none of that id there. */
  async ofLane(clientId: string, lane: string, id: string): Promise<DeliveryWithAttempts | undefined> {
    const found = await this.database.query<DeliveryRecord>(
      `SELECT ${COLUMNS} FROM deliveries d WHERE d.client_id = $1 AND d.id = $2 AND d.lane = $3`,
      [clientId, id, lane],
    );
    return (await this.withAttempts(this.database, clientId, found))[0];
  }

  private async withAttempts(sql: Sql, clientId: string, found: DeliveryRecord[]): Promise<DeliveryWithAttempts[]> {
    if (found.length === 0) return [];
    const attempts = await sql.query<AttemptEntry & { deliveryId: string }>(
      `SELECT ${ATTEMPT_COLUMNS} FROM delivery_attempts WHERE client_id = $1 AND delivery_id = ANY ($2::uuid[])
       ORDER BY delivery_id, attempt_number`,
      [clientId, found.map(({ id }) => id)],
    );
    const byDelivery = new Map<string, AttemptEntry[]>(found.map(({ id }) => [id, []]));
    for (const { deliveryId, ...attempt } of attempts) byDelivery.get(deliveryId)!.push(attempt);
    return found.map((record) => ({ ...record, attempts: byDelivery.get(record.id)! }));
  }
}
