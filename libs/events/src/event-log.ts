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
       SELECT $1, $2, $3, $4, $5, clock_timestamp()
       WHERE EXISTS (SELECT 1 FROM webhook_endpoints w WHERE w.client_id = $1 AND w.is_active AND w.events && $6::text[])
       RETURNING id`,
      [clientId, newId(), event, roomId ?? null, JSON.stringify(data), patternsOf(event)],
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
