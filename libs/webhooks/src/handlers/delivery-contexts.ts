import { Injectable } from '@nestjs/common';
import type { ClaimedDelivery } from '#libs/jobs';
import { Database } from '#libs/database';

const MAX_BATCH = 200;

/** What an attempt needs to know, as it is now. */
export interface DeliveryContext {
  /** Null once the event was forgotten. */
  event: string | null;
  data: string | null;
  event_at: string | null;
  /** Null once the endpoint was deleted. */
  is_active: boolean | null;
  url: string | null;
  /** Sealed. */
  secret: Buffer | null;
  /** Sealed; null unless it still signs. */
  previous_secret: Buffer | null;
  custom_headers: Record<string, string> | null;
}

interface Waiting {
  delivery: ClaimedDelivery;
  resolve: (context: DeliveryContext) => void;
  reject: (error: unknown) => void;
}

/**
 * Reads events and endpoints for attempts: those that begin together, or while a read is running, share one statement.
 * Nothing is remembered, so an attempt never goes to an endpoint that was changed or deleted before it began.
 */
@Injectable()
export class DeliveryContexts {
  private waiting: Waiting[] = [];
  private reading = false;

  constructor(private readonly database: Database) {}

  /** The event and the endpoint of a delivery. */
  load(delivery: ClaimedDelivery): Promise<DeliveryContext> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ delivery, resolve, reject });
      if (this.reading) return;
      this.reading = true;
      // After whoever starts attempts has started all of them.
      queueMicrotask(() => void this.drain());
    });
  }

  private async drain(): Promise<void> {
    while (this.waiting.length > 0) {
      const batch = this.waiting.splice(0, MAX_BATCH);
      try {
        const rows = await this.read(batch.map((item) => item.delivery));
        batch.forEach((item, index) => item.resolve(rows[index]!));
      } catch (error) {
        for (const item of batch) item.reject(error);
      }
    }
    this.reading = false;
  }

  private read(deliveries: ClaimedDelivery[]): Promise<DeliveryContext[]> {
    return this.database.prepared<DeliveryContext>(
      'webhook-contexts',
      `SELECT e.event, e.data::text AS data,
         to_char(e.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS event_at,
         w.is_active, w.url, w.secret, w.custom_headers,
         CASE WHEN w.previous_secret_until > now() THEN w.previous_secret END AS previous_secret
       FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) WITH ORDINALITY AS x (client_id, event_id, webhook_id, ord)
       LEFT JOIN events e ON e.client_id = x.client_id AND e.id = x.event_id
       LEFT JOIN webhook_endpoints w ON w.client_id = x.client_id AND w.id = x.webhook_id
       ORDER BY x.ord`,
      [deliveries.map((d) => d.clientId), deliveries.map((d) => d.sourceId), deliveries.map((d) => d.lane)],
    );
  }
}
