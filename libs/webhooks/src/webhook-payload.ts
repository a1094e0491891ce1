import { eventIdOf } from './webhook.mapper.js';

/** What a payload is made of; `data` is the stored JSON text. */
export interface PayloadParts {
  clientId: string;
  webhookId: string;
  deliveryId: string;
  eventId: string;
  event: string;
  createdAt: string;
  data: string;
}

/**
 * The body of a delivery. It is the same bytes in every attempt, so that a receiver may compare or store it by its
 * hash: `data` is passed through as it was stored, and `meta.attempt` stays 1; the header `X-ChatAPI-Attempt` counts.
 */
export function payloadOf(parts: PayloadParts): string {
  const { clientId, webhookId, deliveryId, eventId, event, createdAt, data } = parts;
  return (
    `{"id":"${eventIdOf(eventId)}","event":"${event}","created_at":"${createdAt}","data":${data},` +
    `"meta":{"client_id":"${clientId}","webhook_id":"${webhookId}","delivery_id":"${deliveryId}","attempt":1}}`
  );
}
