import { randomUUID } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import { ERROR_STATUS, type ErrorBody, type ErrorCode } from '#libs/common';

/** An error as a whole HTTP answer that ends the connection, for where there is a socket and no response to write. */
export function rawError(code: ErrorCode, detail: string): string {
  const status = ERROR_STATUS[code];
  const answer: ErrorBody = {
    detail,
    error_code: code,
    status_code: status,
    timestamp: new Date().toISOString(),
    request_id: randomUUID(),
  };
  const body = JSON.stringify(answer);
  return (
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Type: application/json; charset=utf-8\r\n` +
    `X-Request-Id: ${answer.request_id}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
  );
}
