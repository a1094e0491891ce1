import { Injectable } from '@nestjs/common';
import type { Tx } from '#libs/database';
import { PRIORITIES, type NewDelivery } from './delivery.js';

/** Enqueues deliveries: rows committed with their cause, so that a crash at any point loses none. */
@Injectable()
export class Deliveries {
  private readonly listeners: ((lanes: NewDelivery[]) => void)[] = [];

  /** Adds deliveries in one statement; the engine hears of them once they are committed. */
  async add(tx: Tx, deliveries: NewDelivery[]): Promise<void> {
    if (deliveries.length === 0) return;
    await tx.query(
      `INSERT INTO deliveries (client_id, id, kind, source_id, lane, target, priority, order_key, status, next_attempt_at,
         created_at, updated_at)
       SELECT x.client_id, x.id, x.kind, x.source_id, x.lane, x.target, x.priority, x.order_key, 'pending',
         coalesce(x.due_at, now()), now(), now()
       FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::smallint[], $8::text[],
         $9::timestamptz[]) AS x (client_id, id, kind, source_id, lane, target, priority, order_key, due_at)`,
      [
        deliveries.map((d) => d.clientId),
        deliveries.map((d) => d.id),
        deliveries.map((d) => d.kind),
        deliveries.map((d) => d.sourceId),
        deliveries.map((d) => d.lane),
        deliveries.map((d) => d.target),
        deliveries.map((d) => PRIORITIES.indexOf(d.priority)),
        deliveries.map((d) => d.orderKey ?? null),
        deliveries.map((d) => d.dueAt ?? null),
      ],
    );
    tx.afterCommit(() => {
      for (const listener of this.listeners) listener(deliveries);
    });
  }

  /** Called after every commit that added deliveries in this process. */
  onAdded(listener: (added: NewDelivery[]) => void): void {
    this.listeners.push(listener);
  }
}
