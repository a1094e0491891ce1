import type { OpenAPIObject } from '@nestjs/swagger';
import { EVENT_DESCRIPTIONS, type EventTypeDto } from '#libs/webhooks';
import { exampleOf, pascal, type Schema } from './openapi-schemas.js';

const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });

const EXAMPLE_ID = '0198c0de-1111-7000-8000-000000000001';

/** message.created → MessageCreatedPayload. */
const payloadName = (event: string): string => `${pascal(event.replace(/\W/g, '_'))}Payload`;

/** Schema of the whole payload of an event. */
function payloadSchema(event: string, summary: string, data: string): Schema {
  return {
    type: 'object',
    description: summary,
    required: ['id', 'event', 'created_at', 'data', 'meta'],
    properties: {
      id: {
        type: 'string',
        pattern: '^evt_[0-9a-f-]{36}$',
        description: 'Identifier of the event; the same for every endpoint that hears of it.',
        example: `evt_${EXAMPLE_ID}`,
      },
      event: { type: 'string', const: event, description: 'Name of the event.', example: event },
      created_at: {
        type: 'string',
        format: 'date-time',
        description: 'When it happened.',
        example: '2024-01-01T12:00:00.000Z',
      },
      data: { ...ref(data), description: 'What happened.' },
      meta: { ...ref('WebhookMetaDto'), description: 'Of the event.' },
    },
  };
}

const header = (name: string, description: string): object => ({
  name,
  in: 'header',
  required: true,
  description,
  schema: { type: 'string' },
});

const HEADERS = [
  header('webhook-id', 'Identifies the delivery; the same in every attempt.'),
  header('webhook-timestamp', 'Unix seconds of the attempt.'),
  header('webhook-signature', 'Standard Webhooks signatures, `v1,<base64>`, one per secret, separated by spaces.'),
  header('X-ChatAPI-Signature', '`sha256=` and the hex HMAC of the raw body, keyed by the secret as it is shown.'),
  header('X-ChatAPI-Attempt', 'Number of the attempt, from 1.'),
];

/** Adds the OpenAPI section `webhooks`: what a receiver is posted; and the payloads as one type told apart by `event`. */
export function addWebhooks(document: OpenAPIObject): void {
  const schemas = (document.components?.schemas ?? {}) as Record<string, Schema>;
  const entries = Object.entries(EVENT_DESCRIPTIONS).map(([event, { description, data }]) => {
    const schema = ref(payloadName(event));
    schemas[payloadName(event)] = payloadSchema(event, description, data);
    const post = {
      operationId: `webhook_${event.replace(/\W/g, '_')}`,
      summary: description,
      tags: ['Webhooks'],
      security: [],
      parameters: HEADERS,
      requestBody: { required: true, content: { 'application/json': { schema, example: exampleOf(schema, schemas) } } },
      responses: {
        '2XX': { description: 'The event was taken; it is not sent again.' },
        '410': { description: 'The endpoint is gone; it is disabled.' },
        default: { description: 'The event is sent again later.' },
      },
    };
    return [event, { post }];
  });
  (document as unknown as Record<string, unknown>)['webhooks'] = Object.fromEntries(entries);
  const names = Object.keys(EVENT_DESCRIPTIONS).map((event) => [event, ref(payloadName(event))] as const);
  schemas['WebhookPayload'] = {
    description: 'What an endpoint is posted; `event` says which it is. There will be more.',
    oneOf: names.map(([, payload]) => payload),
    discriminator: {
      propertyName: 'event',
      mapping: Object.fromEntries(names.map(([event, { $ref }]) => [event, $ref])),
    },
  };
}

/** Replaces every reference by what it refers to. */
function resolved(value: unknown, schemas: Record<string, Schema>): unknown {
  if (Array.isArray(value)) return value.map((inner) => resolved(inner, schemas));
  if (value === null || typeof value !== 'object') return value;
  const { $ref } = value as Schema;
  if ($ref) return resolved(schemas[$ref.split('/').at(-1)!], schemas);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, resolved(inner, schemas)]));
}

/** The events as `GET /webhooks/event-types` answers them: the document's schemas, each complete in itself. */
export function eventTypesOf(document: OpenAPIObject): EventTypeDto[] {
  const schemas = (document.components?.schemas ?? {}) as Record<string, Schema>;
  const webhooks = (document as unknown as { webhooks: Record<string, { post: WebhookOperation }> }).webhooks;
  return Object.entries(webhooks).map(([name, { post }]) => {
    const { schema, example } = post.requestBody.content['application/json'];
    return { name, description: post.summary, schema: resolved(schema, schemas) as object, example };
  });
}

interface WebhookOperation {
  summary: string;
  requestBody: { content: { 'application/json': { schema: Schema; example: object } } };
}
