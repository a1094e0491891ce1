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
import { EndpointHealth, EVENT_GONE } from '../endpoint-health.js';
import { WEBHOOK_EVENT } from '../webhook-deliveries.repository.js';
import { payloadOf } from '../webhook-payload.js';
import { EndpointStates, type EndpointState } from './endpoint-states.js';
import { EventContents } from './event-contents.js';
import { OpenedSecrets } from './opened-secrets.js';

const TIMEOUT_MS = 15_000;
const MAX_ANSWER_BYTES = 16 * 1024;
const GONE = 410;

/** Posts one event to one endpoint. */
@Injectable()
export class WebhookEventHandler implements DeliveryHandler, OnModuleInit {
  readonly kind = WEBHOOK_EVENT;
  readonly policy: RetryPolicy;
  readonly laneConcurrency = 10;
  /** A little more than the post's own, so that the post says what was wrong. */
  readonly timeoutMs = TIMEOUT_MS + 1_000;

  constructor(
    private readonly engine: DeliveryEngine,
    private readonly events: EventContents,
    private readonly endpoints: EndpointStates,
    private readonly secrets: OpenedSecrets,
    private readonly http: EgressHttp,
    private readonly health: EndpointHealth,
    @Inject(CONFIG) config: Config,
  ) {
    this.policy = { scheduleSeconds: config.webhookRetrySeconds, jitter: 0.2 };
  }

  onModuleInit(): void {
    this.engine.register(this);
  }

  leased(deliveries: readonly ClaimedDelivery[]): void {
    this.events.prepare(deliveries);
  }

  /** Signs and posts; what the receiver answers decides. */
  async attempt(delivery: ClaimedDelivery, signal: AbortSignal): Promise<AttemptOutcome> {
    const event = await this.events.of(delivery);
    const endpoint = await this.endpoints.of(delivery.clientId, delivery.lane);
    if (!endpoint) return { result: 'cancelled', errorCode: 'ENDPOINT_DELETED', error: 'The endpoint was deleted' };
    if (!endpoint.is_active) {
      return { result: 'cancelled', errorCode: 'ENDPOINT_DISABLED', error: 'The endpoint is not active' };
    }
    if (!event) return { result: 'failed', errorCode: EVENT_GONE, error: 'The event was forgotten' };
    const body = payloadOf({
      clientId: delivery.clientId,
      webhookId: delivery.lane,
      deliveryId: delivery.id,
      eventId: delivery.sourceId,
      event: event.event,
      createdAt: event.event_at,
      data: event.data,
    });
    try {
      const response = await this.http.request({
        method: 'POST',
        url: endpoint.url,
        headers: this.headersOf(delivery, endpoint, body),
        body,
        timeoutMs: TIMEOUT_MS,
        maxResponseBytes: MAX_ANSWER_BYTES,
        statusDecides: true,
        signal,
      });
      return outcomeOf(response);
    } catch (error) {
      if (!(error instanceof EgressError)) throw error;
      return { result: 'retry', errorCode: error.fault, error: error.message };
    }
  }

  /** What the attempts say about their endpoints. */
  settled(tx: Tx, settled: SettledDelivery[]): Promise<void> {
    return this.health.record(tx, settled);
  }

  private headersOf(delivery: ClaimedDelivery, endpoint: EndpointState, body: string): Record<string, string> {
    const seconds = Math.floor(Date.now() / 1000);
    const secrets = this.secrets.of(delivery.lane, endpoint.secret, endpoint.previous_secret);
    return {
      ...endpoint.custom_headers,
      ...signatureHeaders(delivery.id, seconds, body, secrets),
      'content-type': 'application/json',
      'user-agent': 'ChatAPI-Webhooks/1',
      'x-chatapi-attempt': String(delivery.attempt),
    };
  }
}

function outcomeOf(response: EgressResponse): AttemptOutcome {
  const { status, headers } = response;
  const answer = {
    statusCode: status,
    responseHeaders: headers,
    responseBody: response.body.toString('utf8'),
  };
  if (status >= 200 && status < 300) return { result: 'sent', ...answer };
  const fault = { errorCode: 'HTTP_STATUS', error: `The receiver answered ${status}`, ...answer };
  if (status === GONE) return { result: 'failed', ...fault };
  return { result: 'retry', retryAfterMs: retryAfterMs(headers['retry-after']), ...fault };
}
