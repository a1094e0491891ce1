import { Field, type FieldCheck } from '#libs/common';
import type { ApiPropertyOptions } from '@nestjs/swagger';

/** Most custom headers of an endpoint. */
export const MAX_CUSTOM_HEADERS = 20;
const MAX_NAME = 100;
const MAX_VALUE = 1_000;

const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
// Visible ASCII with single spaces and tabs inside: nothing that could end the line and begin another header.
const VALUE = /^[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?$/;
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

function headersFault(value: unknown): string | undefined {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return 'must be an object of header values';
  const entries = Object.entries(value);
  if (entries.length > MAX_CUSTOM_HEADERS) return `must have at most ${MAX_CUSTOM_HEADERS} headers`;
  const seen = new Set<string>();
  for (const [name, text] of entries) {
    if (name.length > MAX_NAME || !NAME.test(name)) return `must hold header names of 1 to ${MAX_NAME} characters`;
    if (isReservedHeader(name)) return `must not set ${name.toLowerCase()}`;
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
    additionalProperties: { type: 'string', minLength: 1, maxLength: MAX_VALUE },
    maxProperties: MAX_CUSTOM_HEADERS,
    example: { 'X-Environment': 'staging' },
  } as ApiPropertyOptions);
}
