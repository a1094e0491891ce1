/** The headers of answers that the document describes. */
export const HEADERS = {
  'X-Request-Id': { description: 'Identifies the request in the log.', schema: { type: 'string' } },
  'X-RateLimit-Limit': {
    description: "Requests of the window; absent where the operator switched the family's limit off.",
    schema: { type: 'integer' },
  },
  'X-RateLimit-Remaining': { description: 'Requests left in the window.', schema: { type: 'integer' } },
  'X-RateLimit-Reset': {
    description: 'When the window ends, in Unix seconds.',
    schema: { type: 'integer', format: 'int64' },
  },
  'Retry-After': { description: 'Seconds to wait before asking again.', schema: { type: 'integer' } },
  'Idempotency-Replayed': {
    description: 'Says `true` when this is the stored answer of an earlier request.',
    schema: { type: 'string', const: 'true' },
  },
};

type Header = keyof typeof HEADERS;

/** What every answer of the API has; the document names them at what succeeds, and says so of the others once. */
export const ALWAYS: Header[] = ['X-Request-Id', 'X-RateLimit-Limit', 'X-RateLimit-Remaining', 'X-RateLimit-Reset'];

/** The headers of one answer, by reference. */
export function headersOf(...names: Header[]): Record<string, { $ref: string }> {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}
