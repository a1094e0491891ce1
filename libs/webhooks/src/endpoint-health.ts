import { Injectable } from '@nestjs/common';
import type { Tx } from '#libs/database';
import { EventLog } from '#libs/events';
import { Deliveries, type SettledDelivery } from '#libs/jobs';
import { EndpointHealthRepository, type EndpointResult } from './endpoint-health.repository.js';
import { EndpointStates } from './handlers/endpoint-states.js';
import { WEBHOOK_EVENT } from './webhook-deliveries.repository.js';
import { toWebhookDto } from './webhook.mapper.js';

const GONE = 410;
/** Code of the attempt that found nothing to post any more. */
export const EVENT_GONE = 'EVENT_GONE';

/** Keeps what is known of endpoints from their attempts, and disables those that are gone or fail for days. */
@Injectable()
export class EndpointHealth {
  constructor(
    private readonly repository: EndpointHealthRepository,
    private readonly deliveries: Deliveries,
    private readonly states: EndpointStates,
    private readonly events: EventLog,
  ) {}

  /** In the transaction that records the attempts. */
  async record(tx: Tx, settled: SettledDelivery[]): Promise<void> {
    const results = resultsOf(settled);
    if (results.length === 0) return;
    for (const { client_id: clientId, was_active, ...row } of await this.repository.record(tx, results)) {
      // What was under way when it was switched off is not tried again either.
      await this.deliveries.cancel(tx, { clientId, kind: WEBHOOK_EVENT, lane: row.id });
      if (!was_active) continue;
      tx.afterCommit(() => this.states.forget(clientId, row.id));
      // The others: this one is not active any more, so it does not count as a subscriber.
      const { custom_headers: _, ...data } = toWebhookDto(row);
      await this.events.add(tx, { clientId, event: 'webhook.disabled', data });
    }
  }
}

/** One line per endpoint, in one order for everyone, so that two processes never wait for each other crosswise. */
export function resultsOf(settled: SettledDelivery[]): EndpointResult[] {
  const results = new Map<string, EndpointResult>();
  for (const { delivery, outcome, attemptedAt } of settled) {
    if (outcome.result === 'cancelled' || outcome.errorCode === EVENT_GONE) continue;
    const key = `${delivery.clientId} ${delivery.lane}`;
    let result = results.get(key);
    if (!result) {
      result = {
        clientId: delivery.clientId,
        webhookId: delivery.lane,
        lastAt: attemptedAt,
        succeeded: false,
        failures: 0,
        firstFailureAt: null,
        gone: false,
      };
      results.set(key, result);
    }
    if (attemptedAt > result.lastAt) result.lastAt = attemptedAt;
    if (outcome.result === 'sent') {
      result.succeeded = true;
      result.failures = 0;
      result.firstFailureAt = null;
    } else {
      result.failures++;
      result.firstFailureAt ??= attemptedAt;
      if (outcome.statusCode === GONE) result.gone = true;
    }
  }
  return [...results.values()].sort((a, b) => compare(a.clientId, b.clientId) || compare(a.webhookId, b.webhookId));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
