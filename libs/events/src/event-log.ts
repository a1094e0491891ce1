import { Injectable } from '@nestjs/common';
import { newId } from '#libs/common';
import { patternsOf, type EventName } from '#libs/contracts';
import type { Tx } from '#libs/database';

/** A fact to be told. */
export interface NewEvent {
  clientId: string;
  event: EventName;
  /** The room it happened in, for endpoints that hear of some rooms only. */
  roomId?: string;
  /** The payload's `data`. */
  data: object;
}

/** Facts, committed with the change they tell of: a crash can neither lose one nor invent one. */
@Injectable()
export class EventLog {
  private readonly listeners: (() => void)[] = [];

  /**
   * Inserts the fact in the change's own transaction when an active endpoint of the tenant subscribes to it. The check
   * is part of the statement, so that a subscription made a moment ago is seen and a tenant without webhooks pays one
   * index look-up.
   */
  async add(tx: Tx, { clientId, event, roomId, data }: NewEvent): Promise<void> {
    const rows = await tx.query(
      `INSERT INTO events (client_id, id, event, room_id, data, created_at)
       SELECT $1, $2, $3, $4::uuid, $5, clock_timestamp()
       WHERE EXISTS (SELECT 1 FROM webhook_endpoints w WHERE w.client_id = $1 AND w.is_active AND w.events && $6::text[]
         AND (w.room_ids = '{}' OR $4::uuid = ANY (w.room_ids)))
       RETURNING id`,
      [clientId, newId(), event, roomId ?? null, JSON.stringify(data), patternsOf(event)],
    );
    if (rows.length > 0) tx.afterCommit(() => this.committed());
  }

  /** {@link add} for the facts of a change of many things at once, in their order. */
  async addAll(tx: Tx, facts: NewEvent[]): Promise<void> {
    if (facts.length === 0) return;
    const rows = await tx.query(
      `INSERT INTO events (client_id, id, event, room_id, data, created_at)
       SELECT x.client_id, x.id, x.event, x.room_id, x.data::json, clock_timestamp()
       FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::text[]) WITH ORDINALITY
         AS x (client_id, id, event, room_id, data, ord)
       WHERE EXISTS (SELECT 1 FROM webhook_endpoints w WHERE w.client_id = x.client_id AND w.is_active
         AND w.events && ARRAY[x.event, split_part(x.event, '.', 1) || '.*', '*']
         AND (w.room_ids = '{}' OR x.room_id = ANY (w.room_ids)))
       ORDER BY x.ord
       RETURNING id`,
      [
        facts.map((fact) => fact.clientId),
        facts.map(() => newId()),
        facts.map((fact) => fact.event),
        facts.map((fact) => fact.roomId ?? null),
        facts.map((fact) => JSON.stringify(fact.data)),
      ],
    );
    if (rows.length > 0) tx.afterCommit(() => this.committed());
  }

  /** Called after every commit that held a fact, in this process. */
  onCommitted(listener: () => void): void {
    this.listeners.push(listener);
  }

  /** For a writer that inserts facts in its own statement: there is something new to tell. */
  committed(): void {
    for (const listener of this.listeners) listener();
  }
}
