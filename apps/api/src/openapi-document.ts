import type { INestApplication, Type } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import { ERROR_STATUS, ROUTE_ANSWER, wholeExample, type ErrorCode, type RouteAnswer } from '#libs/common';
import { rulesOf, type LimitFamily, type RouteRules } from '#libs/security';
import { splitChangeFrames } from './openapi-frames.js';
import { ALWAYS, HEADERS, headersOf } from './openapi-headers.js';
import {
  errorExample,
  errorSchema,
  exampleOf,
  inOpenApi31,
  paginationSchema,
  pascal,
  type Schema,
} from './openapi-schemas.js';
import { addWebhooks } from './openapi-webhooks.js';

const DESCRIPTION = `Multi-tenant chat, notifications and webhooks behind one REST API and one real-time channel.

Every answer, errors included, has \`X-Request-Id\`, \`X-RateLimit-Limit\`, \`X-RateLimit-Remaining\` and \`X-RateLimit-Reset\`.`;
/** The sections of the reference, in its order. */
const TAGS = [
  ['Clients', 'Registered applications, each a tenant of its own, and their keys.'],
  ['Users', "A client's end users and how they sign in."],
  ['Rooms', 'Rooms, their members, who is there and what changed.'],
  ['Messages', 'What is said in rooms.'],
  ['Notifications', 'Mail, news to sockets and inboxes, and signed POSTs, now or later.'],
  ['Email providers', "Who sends a client's mail."],
  ['Real time', 'Where sockets connect; frames and commands are in /asyncapi.json.'],
  ['Webhooks', 'Endpoints that are told what happens, signed and retried.'],
] as const;
/** Errors that say when to ask again. */
const COME_BACK: ErrorCode[] = ['IDEMPOTENCY_IN_PROGRESS', 'RATE_LIMIT_EXCEEDED', 'SERVICE_UNAVAILABLE'];
const METHODS = ['get', 'post', 'put', 'delete'] as const;

interface Operation {
  operationId: string;
  description?: string;
  parameters?: { name: string; in: string; required?: boolean; schema?: Schema; description?: string }[];
  requestBody?: { required?: boolean; content: Record<string, { schema: Schema; example?: unknown }> };
  responses: Record<string, unknown>;
  security?: Record<string, string[]>[];
  'x-required-scopes'?: string[];
}

interface Components {
  schemas: Record<string, Schema>;
  /** Error answers by name, as operations need them. */
  responses: Record<string, unknown>;
}

interface Handler {
  answer: RouteAnswer;
  rules: RouteRules;
}

function operationId(controllerKey: string, methodKey: string): string {
  const name = controllerKey.replace(/Controller$/, '');
  return `${name[0]!.toLowerCase()}${name.slice(1)}_${methodKey}`;
}

/** Every route handler by its operation id. */
export function routeHandlers(app: INestApplication): Map<string, Handler & { name: string }> {
  const handlers = new Map<string, Handler & { name: string }>();
  for (const module of app.get(ModulesContainer).values()) {
    for (const { metatype } of module.controllers.values()) {
      const controller = metatype as Type;
      const prototype = controller.prototype as Record<string, unknown>;
      for (const method of Object.getOwnPropertyNames(prototype)) {
        const handler = prototype[method] as object;
        if (typeof handler !== 'function' || !Reflect.hasMetadata('path', handler)) continue;
        const answer = Reflect.getMetadata(ROUTE_ANSWER, handler) as RouteAnswer;
        handlers.set(operationId(controller.name, method), {
          answer,
          rules: rulesOf(controller, handler),
          name: `${controller.name}.${method}`,
        });
      }
    }
  }
  return handlers;
}

/** The rate limit family of every route by its method and pattern, as in `GET /api/v1/rooms/:room_id`. */
export function* routeFamilies(app: INestApplication, document: OpenAPIObject): Iterable<[string, LimitFamily]> {
  const handlers = routeHandlers(app);
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const method of METHODS) {
      const family = handlers.get(operations[method]?.operationId ?? '')?.rules.family;
      if (family === undefined || family === 'none') continue;
      yield [`${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`, family];
    }
  }
}

function errorCodes(operation: Operation, { answer, rules }: Handler): Set<ErrorCode> {
  const codes = new Set<ErrorCode>([
    'INVALID_CREDENTIALS',
    'REQUEST_TIMEOUT',
    'HEADERS_TOO_LARGE',
    'RATE_LIMIT_EXCEEDED',
    'INTERNAL_ERROR',
    'SERVICE_UNAVAILABLE',
    ...answer.errors,
  ]);
  if (!rules.isPublic) codes.add('KEY_EXPIRED').add('INSUFFICIENT_PERMISSIONS');
  if (operation.parameters?.some((parameter) => parameter.in === 'path')) codes.add('RESOURCE_NOT_FOUND');
  if (operation.parameters?.length || operation.requestBody) codes.add('VALIDATION_ERROR');
  if (operation.requestBody) codes.add('BAD_REQUEST').add('PAYLOAD_TOO_LARGE').add('UNSUPPORTED_MEDIA_TYPE');
  if (rules.idempotent) codes.add('BAD_REQUEST').add('IDEMPOTENCY_IN_PROGRESS').add('IDEMPOTENCY_KEY_REUSED');
  return codes;
}

/** An error answer, described once for all operations that have it: `InsufficientPermissions`, `ConflictOrRoomFull`. */
function errorResponse(codes: ErrorCode[], shared: Record<string, unknown>): { $ref: string } {
  const name = codes.map((code) => pascal(code.toLowerCase())).join('Or');
  const later = codes.some((code) => COME_BACK.includes(code));
  shared[name] ??= {
    description: codes.join(', '),
    ...(later && { headers: headersOf('Retry-After') }),
    content: {
      'application/json': { schema: { $ref: '#/components/schemas/ErrorDto' }, example: errorExample(codes[0]!) },
    },
  };
  return { $ref: `#/components/responses/${name}` };
}

function errorResponses(codes: Set<ErrorCode>, shared: Record<string, unknown>): Record<string, unknown> {
  const inOrder = (Object.keys(ERROR_STATUS) as ErrorCode[]).filter((code) => codes.has(code));
  const named = (status: number) => inOrder.filter((code) => ERROR_STATUS[code] === status);
  const statuses = new Set(inOrder.map((code) => ERROR_STATUS[code]));
  return Object.fromEntries([...statuses].map((status) => [status, errorResponse(named(status), shared)]));
}

function successResponse({ answer, rules }: Handler, schemas: Record<string, Schema>): unknown {
  const headers = headersOf(...ALWAYS, ...(rules.idempotent ? ['Idempotency-Replayed' as const] : []));
  if (answer.kind === 'nothing') return { description: 'Done; the body is empty', headers };
  const ref = { $ref: `#/components/schemas/${answer.dto!.name}` };
  const one = exampleOf(ref, schemas);
  const page = answer.kind === 'page';
  const properties: Record<string, unknown> = {
    data: page ? { type: 'array', items: ref } : ref,
    status: { type: 'string', const: 'success' },
    timestamp: { type: 'string', format: 'date-time' },
  };
  const example: Record<string, unknown> = {
    data: page ? [one] : one,
    status: 'success',
    timestamp: '2024-01-01T12:00:00.000Z',
  };
  if (page) {
    properties['pagination'] = { $ref: '#/components/schemas/Pagination' };
    example['pagination'] = {
      page: 1,
      size: 20,
      total: 1,
      pages: 1,
      has_next: false,
      has_prev: false,
      next_cursor: null,
    };
  }
  const schema = { type: 'object', required: Object.keys(properties), properties };
  return { description: page ? 'A page' : 'The result', headers, content: { 'application/json': { schema, example } } };
}

function describe(operation: Operation, handler: Handler, { schemas, responses }: Components): void {
  const { answer, rules } = handler;
  for (const parameter of operation.parameters ?? []) {
    // A path parameter that is no id says itself what it is.
    if (parameter.in !== 'path' || !parameter.name.endsWith('_id')) continue;
    parameter.schema = { type: 'string', format: 'uuid' };
    parameter.description = `Identifier of the ${parameter.name.replace(/_id$/, '')}.`;
  }
  const success = successResponse(handler, schemas);
  const codes = errorCodes(operation, handler);
  operation.responses = { [answer.status]: success };
  if (answer.alsoStatus) operation.responses[answer.alsoStatus] = success;
  Object.assign(operation.responses, errorResponses(codes, responses));
  if (rules.isPublic) {
    // Either nothing or a bearer, so that the page has a way to send the token where one is needed.
    operation.security = [{}, { apiKey: [] }];
    operation.description = 'Needs no key; where the operator has set `REGISTRATION_TOKEN`, that token as the bearer.';
  } else {
    operation.security = [{ apiKey: [] }];
    operation['x-required-scopes'] = [...rules.scopes];
    const kind = rules.masterOnly ? 'a client key' : 'a client or user key';
    operation.description = [operation.description, `Needs ${kind} with \`${rules.scopes.join('`, `')}\`.`]
      .filter(Boolean)
      .join('\n\n');
  }
  if (rules.idempotent) {
    (operation.parameters ??= []).push({
      name: 'Idempotency-Key',
      in: 'header',
      required: false,
      description:
        'Makes a repeat of this request within 24 hours answer the first result. Use a random value, such as a UUID.',
      schema: { type: 'string', minLength: 1, maxLength: 255 },
    });
  }
  const json = operation.requestBody?.content['application/json'];
  if (json) json.example = exampleOf(json.schema, schemas);
  if (operation.requestBody) operation.requestBody.required = !answer.bodyOptional;
}

/** The OpenAPI 3.1 document, made from the controllers' and DTOs' own metadata. */
export function buildDocument(app: INestApplication, server: string): OpenAPIObject {
  const builder = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('ChatAPI')
    .setDescription(DESCRIPTION)
    .setVersion('1.0.0')
    .setLicense('MIT', 'https://opensource.org/license/mit')
    .addServer(server)
    .addBearerAuth(
      { type: 'http', scheme: 'bearer', description: 'A client key (ck_live_…) or a user key (sk_user_…).' },
      'apiKey',
    );
  for (const [name, description] of TAGS) builder.addTag(name, description);
  const document = SwaggerModule.createDocument(app, builder.build(), { operationIdFactory: operationId });
  const handlers = routeHandlers(app);
  const components = (document.components ??= {});
  const schemas = (components.schemas ??= {}) as Record<string, Schema>;
  // The plugin publishes the classes that carry pages and answers; the envelope says what they hold.
  for (const name of ['Page', 'JsonPage', 'Answer']) delete schemas[name];
  for (const [name, schema] of Object.entries(schemas)) {
    const example = wholeExample(name);
    if (example) schema.example = example;
  }
  schemas['ErrorDto'] = errorSchema;
  splitChangeFrames(schemas);
  schemas['Pagination'] = paginationSchema;
  const responses = (components.responses ??= {}) as Record<string, unknown>;
  Object.assign(components, { headers: HEADERS });
  for (const path of Object.values(document.paths)) {
    for (const method of METHODS) {
      const operation = path[method] as unknown as Operation | undefined;
      if (operation) describe(operation, handlers.get(operation.operationId)!, { schemas, responses });
    }
  }
  addWebhooks(document);
  return inOpenApi31(document) as OpenAPIObject;
}
