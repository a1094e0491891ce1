import { Injectable } from '@nestjs/common';
import type { Page } from '#libs/common';
import { addDateRange, Conditions, Database, listPage, type Sql, type SortColumn, type Tx } from '#libs/database';
import type { WebhookDeliveryDto, WebhookDeliveryListQueryDto } from './webhook-delivery.dto.js';
import { DELIVERY_COLUMNS, toDeliveryDto, type WebhookAttemptRow, type WebhookDeliveryRow } from './webhook.mapper.js';

/** Kind of the deliveries of events to endpoints. */
export const WEBHOOK_EVENT = 'webhook.event';

// Ids are time-ordered, so deliveries_lane_idx holds the order of creation.
const SORTS: Record<string, SortColumn> = { created_at: { sql: 'd.id', type: 'uuid' } };

/** Every query on the deliveries of an endpoint but the engine's own. */
@Injectable()
export class WebhookDeliveriesRepository {
  constructor(private readonly database: Database) {}

  list(clientId: string, webhookId: string, query: WebhookDeliveryListQueryDto): Promise<Page<WebhookDeliveryDto>> {
    const where = new Conditions()
      .add(`d.client_id = ? AND d.lane = ? AND d.kind = '${WEBHOOK_EVENT}'`, clientId, webhookId)
      .when(query.status, 'd.status = ?')
      .when(query.event, 'd.subject = ?');
    addDateRange(where, 'd.created_at', query);
    return listPage<WebhookDeliveryRow, WebhookDeliveryDto>(
      this.database,
      query,
      { select: DELIVERY_COLUMNS, from: 'deliveries d', where, sorts: SORTS, id: 'd.id' },
      toDeliveryDto,
    );
  }

  async find(
    sql: Sql | undefined,
    clientId: string,
    webhookId: string,
    deliveryId: string,
  ): Promise<WebhookDeliveryRow | undefined> {
    const [row] = await (sql ?? this.database).query<WebhookDeliveryRow>(
      `SELECT ${DELIVERY_COLUMNS} FROM deliveries d
       WHERE d.client_id = $1 AND d.lane = $2 AND d.kind = '${WEBHOOK_EVENT}' AND d.id = $3`,
      [clientId, webhookId, deliveryId],
    );
    return row;
  }

  attempts(clientId: string, deliveryId: string): Promise<WebhookAttemptRow[]> {
    return this.database.query<WebhookAttemptRow>(
      `SELECT attempt_number, status, status_code, response_headers, response_body, error_code, error, response_time_ms,
         attempted_at FROM delivery_attempts WHERE client_id = $1 AND delivery_id = $2 ORDER BY attempt_number`,
      [clientId, deliveryId],
    );
  }

  /** A fact that is for one endpoint only, so that the relay has nothing to do with it. */
  async insertTestEvent(tx: Tx, clientId: string, id: string, event: string, data: object): Promise<void> {
    await tx.query(
      `INSERT INTO events (client_id, id, event, data, created_at, relayed_at)
       VALUES ($1, $2, $3, $4, clock_timestamp(), clock_timestamp())`,
      [clientId, id, event, JSON.stringify(data)],
    );
  }
}
