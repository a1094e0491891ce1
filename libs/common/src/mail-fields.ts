import type { ApiPropertyOptions } from '@nestjs/swagger';
import { characterCount, Field, isEmail, textFault, type FieldCheck } from './fields.js';

// What a mail header must not carry: line breaks would start a header of the sender's choice.
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f\u0085\u2028\u2029]/;

/** Text of `min` to `max` characters on one line, without control characters: safe in a header. */
export function Line(min: number, max: number, schema: ApiPropertyOptions = {}): PropertyDecorator {
  const check: FieldCheck = (value) => {
    if (typeof value !== 'string') return 'must be a string';
    const count = characterCount(value);
    if (count < min || count > max) return `must have ${min} to ${max} characters`;
    return textFault(value) ?? (CONTROL.test(value) ? 'must not contain line breaks or control characters' : undefined);
  };
  return Field('line', check, { type: 'string', minLength: min, maxLength: max, ...schema } as ApiPropertyOptions);
}

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
