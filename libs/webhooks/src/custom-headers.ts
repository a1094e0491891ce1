import { Field, type FieldCheck } from '#libs/common';
import type { ApiPropertyOptions } from '@nestjs/swagger';

/** Most custom headers of an endpoint. */
export const MAX_CUSTOM_HEADERS = 20;
const MAX_NAME = 100;
const MAX_VALUE = 1_000;

// A token of RFC 9110.
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
// Visible ASCII with spaces inside, and no control character: nothing that could end the line and begin another header.
const VALUE = /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/;
const RESERVED = new Set([
  'host',
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  'user-agent',
]);
const RESERVED_FAMILIES = ['content-', 'webhook-', 'proxy-', 'x-chatapi-'];

/** Whether a header is ours, the connection's or the body's, and so none of the endpoint's. */
export function isReservedHeader(name: string): boolean {
  const lower = name.toLowerCase();
  return RESERVED.has(lower) || RESERVED_FAMILIES.some((family) => lower.startsWith(family));
}

/** What every object has, and what receivers that keep headers in a plain object would mistake a header for. */
function isInherited(name: string): boolean {
  return name in {} || name.toLowerCase() in {};
}

function headersFault(value: unknown): string | undefined {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return 'must be an object of header values';
  const entries = Object.entries(value);
  if (entries.length > MAX_CUSTOM_HEADERS) return `must have at most ${MAX_CUSTOM_HEADERS} headers`;
  const seen = new Set<string>();
  for (const [name, text] of entries) {
    if (name.length > MAX_NAME || !NAME.test(name)) return `must hold header names of 1 to ${MAX_NAME} characters`;
    if (isReservedHeader(name) || isInherited(name)) return `must not set ${name.toLowerCase()}`;
    if (seen.has(name.toLowerCase())) return `must not set ${name.toLowerCase()} twice`;
    seen.add(name.toLowerCase());
    if (typeof text !== 'string' || text.length > MAX_VALUE || !VALUE.test(text)) {
      return `must hold values of 1 to ${MAX_VALUE.toLocaleString('en')} printable ASCII characters`;
    }
  }
  return undefined;
}

/** Headers sent with every delivery: at most 20, none of those the server sets itself. */
export function CustomHeaders(): PropertyDecorator {
  const check: FieldCheck = headersFault;
  return Field('customHeaders', check, {
    type: 'object',
    propertyNames: { type: 'string', maxLength: MAX_NAME, pattern: NAME.source },
    additionalProperties: { type: 'string', minLength: 1, maxLength: MAX_VALUE, pattern: VALUE.source },
    maxProperties: MAX_CUSTOM_HEADERS,
    example: { 'X-Environment': 'staging' },
  } as ApiPropertyOptions);
}
