import { applyDecorators } from '@nestjs/common';
import { ApiProperty, type ApiPropertyOptions } from '@nestjs/swagger';
import { ValidateBy, ValidateIf } from 'class-validator';
import { isUuid } from './ids.js';

/**
 * A field's check: returns what is wrong with the value, or undefined. The text completes "<field> …"; a line that begins
 * with a path (`[2] must …`, `.port must …`) names that part of the value, and there may be several lines.
 */
export type FieldCheck = (value: unknown) => string | undefined;

/** One decorator = one class-validator rule + its part of the OpenAPI schema. */
export function Field(name: string, check: FieldCheck, schema: ApiPropertyOptions): PropertyDecorator {
  return applyDecorators(
    ApiProperty(schema),
    ValidateBy({
      name,
      validator: {
        validate: (value: unknown) => check(value) === undefined,
        defaultMessage: (args) => check(args?.value) ?? '',
      },
    }),
  );
}

/** The field may be left out; `null` is not leaving it out. */
export function Optional(): PropertyDecorator {
  return applyDecorators(
    ApiProperty({ required: false }),
    ValidateIf((_object, value) => value !== undefined),
  );
}

/** The field may be `null`. */
export function Nullable(): PropertyDecorator {
  return ValidateIf((_object, value) => value !== null);
}

/** What PostgreSQL text cannot hold, and UTF-8 cannot carry. */
export function textFault(value: string): string | undefined {
  if (value.includes('\0')) return 'must not contain NUL';
  return value.isWellFormed() ? undefined : 'must not contain unpaired surrogates';
}

/** Length in characters (Unicode code points), as PostgreSQL and JSON Schema count. */
export function characterCount(value: string): number {
  let count = value.length;
  for (let i = 0; i < value.length - 1; i++) {
    const unit = value.charCodeAt(i);
    if (unit >= 0xd800 && unit <= 0xdbff) {
      count--;
      i++;
    }
  }
  return count;
}

function lengthFault(value: string, min: number, max: number): string | undefined {
  // A string of n UTF-16 units has between n/2 and n characters, so most need no count.
  if (value.length < min || value.length > max * 2) return `must have ${min} to ${max} characters`;
  if (value.length > max || min > 1) {
    const count = characterCount(value);
    if (count < min || count > max) return `must have ${min} to ${max} characters`;
  }
  return undefined;
}

/** Text of `min` to `max` characters. */
export function Text(min: number, max: number, schema: ApiPropertyOptions = {}): PropertyDecorator {
  const check: FieldCheck = (value) =>
    typeof value !== 'string' ? 'must be a string' : (lengthFault(value, min, max) ?? textFault(value));
  return Field('text', check, { type: 'string', minLength: min, maxLength: max, ...schema } as ApiPropertyOptions);
}

// eslint-disable-next-line no-control-regex -- these are what is refused
const CONTROL = /[\x00-\x1f\x7f-\x9f\u2028\u2029]/;

/** One line of `min` to `max` characters, fit for a mail header: no line breaks or other control characters. */
export function Line(min: number, max: number, schema: ApiPropertyOptions = {}): PropertyDecorator {
  const check: FieldCheck = (value) =>
    typeof value !== 'string'
      ? 'must be a string'
      : (lengthFault(value, min, max) ??
        textFault(value) ??
        (CONTROL.test(value) ? 'must not contain line breaks or control characters' : undefined));
  return Field('line', check, { type: 'string', minLength: min, maxLength: max, ...schema } as ApiPropertyOptions);
}

/** What a masked secret starts with. */
export const SECRET_MASK = '****';

/** A secret as it is shown: the last four characters of one that is long enough to keep the rest. */
export function maskSecret(secret: string): string {
  return SECRET_MASK + (secret.length >= 12 ? secret.slice(-4) : '');
}

/** A secret of `min` to `max` characters; what it is shown as is not taken for it. */
export function Secret(min: number, max: number, schema: ApiPropertyOptions = {}): PropertyDecorator {
  const check: FieldCheck = (value) => {
    if (typeof value !== 'string') return 'must be a string';
    if (value.startsWith(SECRET_MASK)) return 'must be the secret itself, not what it is shown as';
    return (
      lengthFault(value, min, max) ??
      textFault(value) ??
      (CONTROL.test(value) ? 'must not contain line breaks or control characters' : undefined)
    );
  };
  return Field('secret', check, { type: 'string', minLength: min, maxLength: max, ...schema } as ApiPropertyOptions);
}

/** A UUID. */
export function Id(schema: ApiPropertyOptions = {}): PropertyDecorator {
  const check: FieldCheck = (value) => (isUuid(value) ? undefined : 'must be a UUID');
  return Field('id', check, {
    type: 'string',
    format: 'uuid',
    example: '0198c0de-1111-7000-8000-000000000001',
    ...schema,
  } as ApiPropertyOptions);
}

/** A list of `min` to `max` different UUIDs. */
export function Ids(min: number, max: number, schema: ApiPropertyOptions = {}): PropertyDecorator {
  const check: FieldCheck = (value) => {
    if (!Array.isArray(value)) return 'must be an array of UUIDs';
    if (value.length < min || value.length > max) return `must have ${min} to ${max} items`;
    return value.every(isUuid) ? undefined : 'must hold UUIDs only';
  };
  return Field('ids', check, {
    type: 'array',
    items: { type: 'string', format: 'uuid' },
    minItems: min,
    maxItems: max,
    example: ['0198c0de-1111-7000-8000-000000000001'],
    ...schema,
  } as ApiPropertyOptions);
}

const MAX_INT32 = 2 ** 31 - 1;

/** A whole number from `min` to `max`. */
export function Int(min: number, max: number, schema: ApiPropertyOptions = {}): PropertyDecorator {
  const check: FieldCheck = (value) =>
    Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max
      ? undefined
      : `must be a whole number from ${min} to ${max}`;
  return Field('int', check, {
    type: 'integer',
    minimum: min,
    maximum: max,
    // Without it, generated clients in Java, Go or C# read 32 bits.
    ...(max > MAX_INT32 && { format: 'int64' }),
    example: min,
    ...schema,
  } as ApiPropertyOptions);
}

/** true or false. */
export function Flag(schema: ApiPropertyOptions = {}): PropertyDecorator {
  const check: FieldCheck = (value) => (typeof value === 'boolean' ? undefined : 'must be true or false');
  return Field('flag', check, { type: 'boolean', example: true, ...schema } as ApiPropertyOptions);
}

/** One of a closed set. */
export function OneOf(values: readonly string[], schema: ApiPropertyOptions = {}): PropertyDecorator {
  const check: FieldCheck = (value) =>
    typeof value === 'string' && values.includes(value) ? undefined : `must be one of ${values.join(', ')}`;
  return Field('oneOf', check, {
    type: 'string',
    enum: [...values],
    example: values[0],
    ...schema,
  } as ApiPropertyOptions);
}

/** A list of different members of a closed set. */
export function ManyOf(values: readonly string[]): PropertyDecorator {
  const check: FieldCheck = (value) =>
    Array.isArray(value) &&
    value.length > 0 &&
    value.length <= values.length &&
    value.every((v) => values.includes(v as string))
      ? undefined
      : `must be a non-empty array of ${values.join(', ')}`;
  return Field('manyOf', check, {
    type: 'array',
    items: { type: 'string', enum: [...values] },
    minItems: 1,
    example: [values[0]],
  } as ApiPropertyOptions);
}

const META_MAX_BYTES = 16 * 1024;
const META_MAX_DEPTH = 32;

function jsonFault(value: unknown, depth: number): string | undefined {
  if (typeof value === 'string') return textFault(value);
  if (value === null || typeof value !== 'object') return undefined;
  if (depth > META_MAX_DEPTH) return `must not be nested deeper than ${META_MAX_DEPTH} levels`;
  for (const [key, inner] of Object.entries(value)) {
    const fault = textFault(key) ?? jsonFault(inner, depth + 1);
    if (fault) return fault;
  }
  return undefined;
}

/** How many more bytes a value has where numbers are written without exponents, as PostgreSQL writes them. */
function exponentBytes(value: unknown): number {
  if (typeof value === 'number') return Math.abs(Number(String(value).split('e')[1] ?? 0));
  if (value === null || typeof value !== 'object') return 0;
  return Object.values(value).reduce<number>((sum, inner) => sum + exponentBytes(inner), 0);
}

/** A free JSON object of at most 16 KiB (as compact UTF-8 JSON, numbers without exponents) and 32 levels. */
export function Meta(): PropertyDecorator {
  const check: FieldCheck = (value) => {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) return 'must be an object';
    const fault = jsonFault(value, 1);
    if (fault) return fault;
    return Buffer.byteLength(JSON.stringify(value)) + exponentBytes(value) > META_MAX_BYTES
      ? 'must not exceed 16 KiB as JSON'
      : undefined;
  };
  return Field('meta', check, {
    type: 'object',
    additionalProperties: true,
    example: { colour: 'blue' },
  } as ApiPropertyOptions);
}

// The HTML living standard's e-mail production, with the 254 characters of RFC 5321 as the limit.
const EMAIL =
  /^[\p{L}\p{N}.!#$%&'*+/=?^_`{|}~-]+@[\p{L}\p{N}](?:[\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?(?:\.[\p{L}\p{N}](?:[\p{L}\p{N}-]{0,61}[\p{L}\p{N}])?)+$/u;

/** Whether the value is an e-mail address of at most 254 characters. */
export function isEmail(value: unknown): value is string {
  return typeof value === 'string' && value.length <= 254 && EMAIL.test(value);
}

/** An e-mail address of at most 254 characters. */
export function Email(): PropertyDecorator {
  const check: FieldCheck = (value) => (isEmail(value) ? undefined : 'must be an e-mail address');
  return Field('email', check, {
    type: 'string',
    format: 'email',
    maxLength: 254,
    example: 'john@example.com',
  } as ApiPropertyOptions);
}

const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/;
const DAY = /^\d{4}-\d{2}-\d{2}$/;

function isRealDay(text: string): boolean {
  const time = Date.parse(`${text}T00:00:00Z`);
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
}

/** Whether it is an instant; its offset must not carry it out of the years that are written with four digits. */
function isInstant(value: unknown): value is string {
  if (typeof value !== 'string' || !INSTANT.test(value) || !isRealDay(value.slice(0, 10))) return false;
  const time = Date.parse(value);
  return !Number.isNaN(time) && /^\d/.test(new Date(time).toISOString());
}

/** An RFC 3339 instant. */
export function Instant(): PropertyDecorator {
  const check: FieldCheck = (value) => (isInstant(value) ? undefined : 'must be an RFC 3339 date-time');
  return Field('instant', check, {
    type: 'string',
    format: 'date-time',
    example: '2030-01-01T12:00:00Z',
  } as ApiPropertyOptions);
}

/** A date (a whole UTC day) or an RFC 3339 instant. */
export function DateOrInstant(): PropertyDecorator {
  const check: FieldCheck = (value) =>
    isInstant(value) || (typeof value === 'string' && DAY.test(value) && isRealDay(value))
      ? undefined
      : 'must be a date (YYYY-MM-DD) or an RFC 3339 date-time';
  return Field('dateOrInstant', check, { type: 'string', example: '2024-01-31' } as ApiPropertyOptions);
}
