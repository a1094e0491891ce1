import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { Answer, ApiError, renderSuccess, unavailable, type ErrorCode } from '#libs/common';
import type { Health, Metrics } from '#libs/observability';
import { rawError } from '#libs/realtime';
import { rateHeaders, renderedBody, type LimitFamily, type RateLimits } from '#libs/security';
import { sendError, tenantOf } from './error.filter.js';

/** Largest body, in bytes. */
export const BODY_LIMIT = 256 * 1024;
/** Where the API lives. */
export const API_PREFIX = '/api/v1';

const REFUSED: Record<string, [ErrorCode, string]> = {
  HPE_HEADER_OVERFLOW: ['HEADERS_TOO_LARGE', 'The headers must not exceed 16 KiB'],
  ERR_HTTP_REQUEST_TIMEOUT: ['REQUEST_TIMEOUT', 'The request did not arrive in time'],
};

function isApi(request: FastifyRequest): boolean {
  return request.url.startsWith(API_PREFIX);
}

/** The rate limit family of a route by its method and pattern, as in `GET /api/v1/rooms/:room_id`. */
export type RouteFamilies = ReadonlyMap<string, LimitFamily>;

function familyOf({ method, routeOptions }: FastifyRequest, families: RouteFamilies): LimitFamily {
  return families.get(`${method === 'HEAD' ? 'GET' : method} ${routeOptions?.url}`) ?? 'default';
}

/** JSON and nothing else; an empty body is no body. Plain JSON.parse: fields are copied by name, never merged. */
export function parseJsonOnly(fastify: FastifyInstance): void {
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    if (body === '') return done(null, undefined);
    try {
      done(null, JSON.parse(body as string));
    } catch {
      done(new ApiError('BAD_REQUEST', 'The body is not valid JSON'));
    }
  });
}

/** Wraps every API result in the envelope, and lets an {@link Answer} choose its status. */
export function addEnvelope(fastify: FastifyInstance): void {
  fastify.addHook('preSerialization', (request, reply, payload, done) => {
    if (isApi(request) && typeof payload === 'object' && payload !== null) {
      if (payload instanceof Answer) reply.code(payload.status);
      const body = renderedBody(payload) ?? renderSuccess(payload);
      reply.serializer(() => body);
    }
    done(null, payload);
  });
}

/** Writes X-Request-Id, and on an API answer the rate limit headers; of the route's family where nothing was counted. */
export function writeHeaders(
  request: FastifyRequest,
  reply: FastifyReply,
  limits: RateLimits,
  families: RouteFamilies,
): void {
  reply.header('X-Request-Id', request.id);
  if (!isApi(request)) return;
  reply.header('X-Content-Type-Options', 'nosniff');
  const rate = request.rate ?? limits.idle(familyOf(request, families));
  if (rate) reply.headers(rateHeaders(rate));
}

/** X-Request-Id on every answer, the rate limit headers on every API answer. */
export function addHeaders(
  fastify: FastifyInstance,
  limits: RateLimits,
  families: RouteFamilies,
  health: Health,
): void {
  fastify.addHook('onSend', (request, reply, payload, done) => {
    writeHeaders(request, reply, limits, families);
    // A connection kept open after its running request would hold up the end of the process.
    if (health.stopping) reply.header('Connection', 'close');
    done(null, payload);
  });
}

/** Counts and logs what was answered: route pattern, never the path's or query's content. */
export function addAccessLog(fastify: FastifyInstance, logger: Logger, metrics: Metrics): void {
  fastify.addHook('onResponse', (request, reply, done) => {
    const route = request.routeOptions.url ?? 'unknown';
    metrics.answered++;
    metrics.httpRequests.inc({ method: request.method, route, status: reply.statusCode });
    metrics.httpDuration.observe({ method: request.method, route }, reply.elapsedTime / 1000);
    if (isApi(request)) {
      logger.info(
        {
          request_id: request.id,
          client_id: tenantOf(request),
          method: request.method,
          route,
          status: reply.statusCode,
          ms: Math.round(reply.elapsedTime * 100) / 100,
        },
        'request',
      );
    }
    done();
  });
}

/** While the process is stopping, what still arrives on a kept connection is told to go elsewhere. */
export function refuseWhileStopping(fastify: FastifyInstance, health: Health, logger: Logger): void {
  fastify.addHook('onRequest', (request: FastifyRequest, reply: FastifyReply, done) => {
    if (!health.stopping || !isApi(request)) return done();
    reply.header('Connection', 'close');
    sendError(logger, request, reply, unavailable('The server is shutting down'));
  });
}

/** Answers what is no HTTP, or more of it than is read, or comes too slowly. */
export function refuseMalformed(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  const refusal = REFUSED[error.code ?? ''] ?? ['BAD_REQUEST', 'The request is malformed'];
  if (socket.writable) socket.write(rawError(new ApiError(...refusal)));
  socket.destroy(error);
}
