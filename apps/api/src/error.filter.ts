import { Catch, HttpException, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { ApiError, type ErrorBody } from '#libs/common';
import { classifyForCaller } from '#libs/database';
import { faultOf } from '#libs/observability';
import { IdempotentReplay } from '#libs/security';

const JSON_TYPE = 'application/json; charset=utf-8';

/** Whatever was thrown → the error the caller may see. */
export function toApiError(thrown: unknown): ApiError {
  const error = classifyForCaller(thrown);
  if (error instanceof ApiError) return error;
  const statusCode = error instanceof HttpException ? error.getStatus() : ((error ?? {}) as FastifyError).statusCode;
  if (statusCode === 404) return new ApiError('RESOURCE_NOT_FOUND', 'No such route');
  if (statusCode === 413) return new ApiError('PAYLOAD_TOO_LARGE', 'The body must not exceed 256 KiB');
  if (statusCode === 415) return new ApiError('UNSUPPORTED_MEDIA_TYPE', 'The body must be application/json');
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new ApiError('BAD_REQUEST', 'The request is malformed');
  }
  return new ApiError('INTERNAL_ERROR', 'Internal server error', { cause: error });
}

/** The tenant a request acts in, for the log; of a registration there is none yet. */
export function tenantOf({ principal }: FastifyRequest): string | undefined {
  return principal?.kind === 'anonymous' ? undefined : principal?.clientId;
}

/** Renders an error: the one place that writes error bodies. */
export function sendError(logger: Logger, request: FastifyRequest, reply: FastifyReply, thrown: unknown): void {
  const error = toApiError(thrown);
  if (error.status >= 500) {
    const level = error.status === 500 ? 'error' : 'warn';
    logger[level](
      { request_id: request.id, client_id: tenantOf(request), fault: faultOf(error.cause ?? thrown) },
      error.code,
    );
  }
  const body: ErrorBody = {
    detail: error.message,
    error_code: error.code,
    status_code: error.status,
    timestamp: new Date().toISOString(),
    request_id: request.id,
  };
  if (error.errors) body.errors = error.errors;
  if (error.retryAfterSeconds !== undefined) reply.header('Retry-After', String(error.retryAfterSeconds));
  reply.code(error.status).header('Content-Type', JSON_TYPE).send(JSON.stringify(body));
}

/** Nest's door to {@link sendError}; also answers a replay, which travels as an exception. */
@Catch()
export class ErrorFilter implements ExceptionFilter {
  constructor(private readonly logger: Logger) {}

  catch(thrown: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const reply = http.getResponse<FastifyReply>();
    if (thrown instanceof IdempotentReplay) {
      reply
        .code(thrown.status)
        .header('Idempotency-Replayed', 'true')
        .header('Content-Type', JSON_TYPE)
        .send(thrown.body);
      return;
    }
    sendError(this.logger, http.getRequest<FastifyRequest>(), reply, thrown);
  }
}
