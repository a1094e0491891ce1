import { Injectable } from '@nestjs/common';
import type { Tx } from '#libs/database';
import { DeliveriesRepository } from './deliveries.repository.js';
import { PRIORITIES, type DeliveryStatus, type NewDelivery } from './delivery.js';

/** Which deliveries of a tenant are meant. */
export interface DeliverySelection {
  clientId: string;
  /** Those of one notification or event. */
  sourceId?: string;
  /** These. */
  ids?: readonly string[];
  /** Those of one kind. */
  kind?: string;
  /** Those of one lane, such as an endpoint; with the kind, an index finds them. */
  lane?: string;
  /** Those that ended then or later. */
  finishedSince?: Date;
}

interface EndedRow {
  id: string;
  lane: string;
  order_key: string | null;
}

/** Inserts deliveries, with the parameters $1 to $10 of {@link deliveryParams}: for a statement that inserts their cause, too. */
export const INSERT_DELIVERIES = `INSERT INTO deliveries (client_id, id, kind, source_id, lane, target, priority, order_key, subject, status, stage,
    next_attempt_at, created_at, updated_at)
  SELECT x.client_id, x.id, x.kind, x.source_id, x.lane, x.target, x.priority, x.order_key, x.subject, 'pending',
    CASE WHEN x.due_at > now() THEN 'waiting' ELSE 'ready' END, coalesce(x.due_at, now()), now(), now()
  FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::smallint[], $8::text[],
    $9::text[], $10::timestamptz[])
    AS x (client_id, id, kind, source_id, lane, target, priority, order_key, subject, due_at)`;

/** The parameters of {@link INSERT_DELIVERIES}. */
export function deliveryParams(deliveries: readonly NewDelivery[]): unknown[] {
  return [
    deliveries.map((d) => d.clientId),
    deliveries.map((d) => d.id),
    deliveries.map((d) => d.kind),
    deliveries.map((d) => d.sourceId),
    deliveries.map((d) => d.lane),
    deliveries.map((d) => d.target),
    deliveries.map((d) => PRIORITIES.indexOf(d.priority)),
    deliveries.map((d) => d.orderKey ?? null),
    deliveries.map((d) => d.subject ?? null),
    deliveries.map((d) => d.dueAt ?? null),
  ];
}

/** Enqueues deliveries: rows committed with their cause, so that a crash at any point loses none. */
@Injectable()
export class Deliveries {
  private readonly listeners: (() => void)[] = [];

  constructor(private readonly repository: DeliveriesRepository) {}

  /** Adds deliveries in one statement; the engine hears of them once they are committed. */
  async add(tx: Tx, deliveries: NewDelivery[]): Promise<void> {
    if (deliveries.length === 0) return;
    await tx.query(INSERT_DELIVERIES, deliveryParams(deliveries));
    tx.afterCommit(() => this.committed());
  }

  /**
   * Cancels what has not ended and is not being attempted; answers the ids. A delivery in the middle of an attempt runs
   * on: whether it arrives cannot be taken back.
   */
  async cancel(tx: Tx, selection: DeliverySelection): Promise<string[]> {
    const rows = await tx.query<EndedRow>(
      `UPDATE deliveries SET status = 'cancelled', stage = NULL, next_attempt_at = NULL, lease_until = NULL,
         finished_at = now(), updated_at = now()
       WHERE ${WHERE} AND stage <> 'leased' RETURNING id, lane, order_key`,
      paramsOf(selection),
    );
    const ordered = rows.filter((row) => row.order_key !== null);
    if (ordered.length > 0) tx.afterCommit(() => void this.release(selection.clientId, ordered));
    return rows.map((row) => row.id);
  }

  /** Makes ended deliveries due again, failed ones unless told otherwise; the schedule starts anew. Answers the ids. */
  async redeliver(tx: Tx, selection: DeliverySelection, statuses: DeliveryStatus[] = ['failed']): Promise<string[]> {
    const rows = await tx.query<{ id: string }>(
      `UPDATE deliveries SET status = 'pending', stage = 'ready', next_attempt_at = now(), finished_at = NULL,
         attempt_base = attempt_count, error_code = NULL, error = NULL, updated_at = now()
       WHERE ${WHERE} AND stage IS NULL AND status = ANY ($7) RETURNING id`,
      [...paramsOf(selection), statuses],
    );
    if (rows.length > 0) tx.afterCommit(() => this.committed());
    return rows.map((row) => row.id);
  }

  /** Never rejects. */
  private async release(clientId: string, ended: EndedRow[]): Promise<void> {
    const keys = ended.map((row) => ({ clientId, lane: row.lane, orderKey: row.order_key }));
    await this.repository.release(keys).then(
      () => this.committed(),
      () => undefined,
    );
  }

  /** Called after every commit that made something due, in this process. */
  onDue(listener: () => void): void {
    this.listeners.push(listener);
  }

  /** For who inserts deliveries in a statement of its own, once it is committed: there is something due. */
  committed(): void {
    for (const listener of this.listeners) listener();
  }
}

const WHERE = `client_id = $1 AND ($2::uuid IS NULL OR source_id = $2) AND ($3::uuid[] IS NULL OR id = ANY ($3))
  AND ($4::text IS NULL OR lane = $4) AND ($5::timestamptz IS NULL OR finished_at >= $5) AND ($6::text IS NULL OR kind = $6)`;

function paramsOf({ clientId, sourceId, ids, kind, lane, finishedSince }: DeliverySelection): unknown[] {
  return [clientId, sourceId ?? null, ids ?? null, lane ?? null, finishedSince ?? null, kind ?? null];
}
