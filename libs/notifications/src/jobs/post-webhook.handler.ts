import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { CONFIG, type Config } from '#libs/config';
import type { Tx } from '#libs/database';
import { EgressError, EgressHttp, retryAfterMs, signatureHeaders, type EgressResponse } from '#libs/egress';
import {
  DeliveryEngine,
  type AttemptOutcome,
  type ClaimedDelivery,
  type DeliveryHandler,
  type RetryPolicy,
  type SettledDelivery,
} from '#libs/jobs';
import { KINDS } from '../notification-plan.js';
import { NotificationSettlement } from '../notification-settlement.js';
import { NotificationSecrets } from '../notification-secrets.js';
import { NotificationSources, type NotificationSource } from '../notification-source.repository.js';
import { gone, retryPolicy } from './notification-outcomes.js';

const TIMEOUT_MS = 15_000;
const MAX_RESPONSE_BYTES = 16 * 1024;

/** Sends webhook notifications: one POST, signed anew for each attempt under an id that stays. */
@Injectable()
export class PostWebhookHandler implements DeliveryHandler, OnModuleInit {
  readonly kind = KINDS.webhook;
  readonly policy: RetryPolicy;
  readonly laneConcurrency = 10;
  readonly timeoutMs = TIMEOUT_MS + 5_000;

  constructor(
    private readonly engine: DeliveryEngine,
    private readonly sources: NotificationSources,
    private readonly settlement: NotificationSettlement,
    private readonly secrets: NotificationSecrets,
    private readonly http: EgressHttp,
    @Inject(CONFIG) config: Config,
  ) {
    this.policy = retryPolicy(config);
  }

  onModuleInit(): void {
    this.engine.register(this);
  }

  leased(deliveries: readonly ClaimedDelivery[]): void {
    this.sources.prepare(deliveries);
  }

  async attempt(delivery: ClaimedDelivery, signal: AbortSignal): Promise<AttemptOutcome> {
    const source = await this.sources.of(delivery);
    if (!source) return gone();
    const { secret } = await this.secrets.get(delivery.clientId);
    const body = bodyOf(delivery, source);
    const signature = signatureHeaders(`msg_${delivery.id}`, Math.floor(Date.now() / 1000), body, [secret]);
    try {
      const response = await this.http.request({
        method: 'POST',
        url: delivery.target,
        headers: { 'content-type': 'application/json', 'user-agent': 'ChatAPI-Webhooks/1', ...signature },
        body,
        timeoutMs: TIMEOUT_MS,
        maxResponseBytes: MAX_RESPONSE_BYTES,
        statusDecides: true,
        signal,
      });
      return outcomeOf(response);
    } catch (error) {
      if (!(error instanceof EgressError)) throw error;
      const final = error.fault === 'EGRESS_URL_REFUSED' || error.fault === 'EGRESS_ADDRESS_REFUSED';
      return { result: final ? 'failed' : 'retry', errorCode: error.fault, error: error.message };
    }
  }

  settled(tx: Tx, settled: SettledDelivery[]): Promise<void> {
    return this.settlement.settle(tx, settled);
  }
}

function bodyOf(delivery: ClaimedDelivery, source: NotificationSource): string {
  const { id, subject, content, priority, meta } = source;
  return JSON.stringify({
    id: `msg_${delivery.id}`,
    event: 'notification',
    created_at: source.created_at.toISOString(),
    data: { id, subject, content, priority, meta },
    meta: {
      client_id: delivery.clientId,
      notification_id: id,
      delivery_id: delivery.id,
      attempt: delivery.attempt,
    },
  });
}

/** 2xx is success, 410 says "never again", everything else may pass. */
function outcomeOf(response: EgressResponse): AttemptOutcome {
  const answer = {
    statusCode: response.status,
    responseHeaders: response.headers,
    responseBody: response.body.toString('utf8'),
  };
  if (response.status >= 200 && response.status < 300) return { result: 'sent', ...answer };
  return {
    result: response.status === 410 ? 'failed' : 'retry',
    errorCode: 'WEBHOOK_STATUS',
    error: `The receiver answered ${response.status}`,
    retryAfterMs: retryAfterMs(response.headers['retry-after']),
    ...answer,
  };
}
