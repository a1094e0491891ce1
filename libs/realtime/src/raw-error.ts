import { randomUUID } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import type { ApiError, ErrorBody } from '#libs/common';

/** An error as a whole HTTP answer that ends the connection, for where there is a socket and no response to write. */
export function rawError(
  error: ApiError,
  requestId: string = randomUUID(),
  headers: Readonly<Record<string, string | number>> = {},
): string {
  const answer: ErrorBody = {
    detail: error.message,
    error_code: error.code,
    status_code: error.status,
    timestamp: new Date().toISOString(),
    request_id: requestId,
  };
  const body = JSON.stringify(answer);
  const lines = Object.entries({
    Connection: 'close',
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
    'X-Request-Id': requestId,
    ...(error.retryAfterSeconds !== undefined && { 'Retry-After': error.retryAfterSeconds }),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}\r\n${lines.join('')}\r\n${body}`;
}
