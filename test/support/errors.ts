import assert from 'node:assert/strict';
import type { Reply } from './api.js';

/** The answer is the one error body, with this status and code. */
export function assertError(reply: Reply, status: number, code: string, what = ''): void {
  assert.equal(reply.status, status, `${what} ${reply.text}`);
  const fields = ['detail', 'error_code', 'request_id', 'status_code', 'timestamp'];
  assert.deepEqual(
    Object.keys(reply.body)
      .filter((name) => name !== 'errors')
      .sort(),
    fields,
    what,
  );
  assert.equal(reply.body.error_code, code, what);
  assert.equal(reply.body.status_code, status, what);
  assert.ok(typeof reply.body.detail === 'string' && reply.body.detail.length > 0, what);
  assert.equal(new Date(reply.body.timestamp).toISOString(), reply.body.timestamp, what);
  assert.equal(reply.body.request_id, reply.headers.get('x-request-id'), what);
  assert.match(reply.headers.get('content-type')!, /^application\/json/, what);
  for (const error of reply.body.errors ?? []) {
    assert.deepEqual(Object.keys(error).sort(), ['field', 'message'], what);
    assert.ok(typeof error.field === 'string' && typeof error.message === 'string', what);
  }
}

/** The answer is a VALIDATION_ERROR that names exactly these fields. */
export function assertInvalid(reply: Reply, fields: string[], what = ''): void {
  assertError(reply, 422, 'VALIDATION_ERROR', what);
  assert.deepEqual(
    reply.body.errors.map((error: { field: string }) => error.field),
    fields,
    what,
  );
}
