import { Injectable } from '@nestjs/common';
import { Database } from '#libs/database';
import { LeasedReads, sourceKey, type ClaimedDelivery } from '#libs/jobs';

/** What an event tells. */
export interface EventContent {
  client_id: string;
  id: string;
  event: string;
  /** JSON, as it was written with the change. */
  data: string;
  event_at: string;
}

/** The events of leased deliveries; an event never changes. */
@Injectable()
export class EventContents extends LeasedReads<EventContent> {
  constructor(database: Database) {
    super(
      (deliveries) => readEvents(database, deliveries),
      (row) => sourceKey(row.client_id, row.id),
    );
  }
}

function readEvents(database: Database, deliveries: readonly ClaimedDelivery[]): Promise<EventContent[]> {
  return database.prepared<EventContent>(
    'webhook-events',
    `SELECT e.client_id, e.id, e.event, e.data::text AS data,
       to_char(e.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS event_at
     FROM (SELECT DISTINCT * FROM unnest($1::uuid[], $2::uuid[])) AS x (client_id, id)
     JOIN events e ON e.client_id = x.client_id AND e.id = x.id`,
    [deliveries.map((d) => d.clientId), deliveries.map((d) => d.sourceId)],
  );
}
