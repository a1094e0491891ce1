import type { ApiPropertyOptions } from '@nestjs/swagger';
import { Field, isEmail, type FieldCheck } from './fields.js';

/** What is wrong with a list of addresses, a line for each wrong one. */
function emailsFault(value: unknown, min: number, max: number): string | undefined {
  if (!Array.isArray(value)) return 'must be an array of e-mail addresses';
  if (value.length < min || value.length > max) return `must have ${min} to ${max} items`;
  const faults = value.flatMap((item, index) => (isEmail(item) ? [] : [`[${index}] must be an e-mail address`]));
  return faults.length === 0 ? undefined : faults.join('\n');
}

const ADDRESS = { type: 'string', format: 'email', maxLength: 254 } as const;

/** A list of `min` to `max` e-mail addresses. */
export function Emails(min: number, max: number): PropertyDecorator {
  return Field('emails', (value) => emailsFault(value, min, max), {
    type: 'array',
    items: ADDRESS,
    minItems: min,
    maxItems: max,
    example: ['jane@example.com'],
  } as ApiPropertyOptions);
}

/** One e-mail address, or a list of 1 to `max`. */
export function EmailOrEmails(max: number, schema: ApiPropertyOptions = {}): PropertyDecorator {
  const check: FieldCheck = (value) => {
    if (typeof value !== 'string') return emailsFault(value, 1, max);
    return isEmail(value) ? undefined : 'must be an e-mail address';
  };
  return Field('emailOrEmails', check, {
    oneOf: [ADDRESS, { type: 'array', items: ADDRESS, minItems: 1, maxItems: max }],
    example: 'user@example.com',
    ...schema,
  } as ApiPropertyOptions);
}
