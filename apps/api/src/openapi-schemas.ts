import { ERROR_STATUS, type ErrorCode } from '#libs/common';

/** As much of a JSON Schema as the document builder looks at. */
export interface Schema {
  $ref?: string;
  type?: string | (string | null)[];
  nullable?: boolean;
  enum?: unknown[];
  example?: unknown;
  default?: unknown;
  properties?: Record<string, Schema>;
  items?: Schema;
  allOf?: Schema[];
  oneOf?: Schema[];
  anyOf?: Schema[];
  [key: string]: unknown;
}

const NAME = /(^|_)([a-z])/g;

/** send_message → SendMessage. */
export function pascal(name: string): string {
  return name.replace(NAME, (_match, _before, letter: string) => letter.toUpperCase());
}

/** The one error body. */
export const errorSchema: Schema = {
  type: 'object',
  description: 'Every failure has this body.',
  required: ['detail', 'error_code', 'status_code', 'timestamp', 'request_id'],
  properties: {
    detail: { type: 'string', description: 'What is wrong, for people.' },
    error_code: { type: 'string', enum: Object.keys(ERROR_STATUS), description: 'What is wrong, for programs.' },
    status_code: { type: 'integer', description: 'The HTTP status.' },
    timestamp: { type: 'string', format: 'date-time', description: 'When it was answered.' },
    request_id: { type: 'string', description: 'Identifies the request in the log.' },
    errors: {
      type: 'array',
      description: 'Each wrong field.',
      items: {
        type: 'object',
        required: ['field', 'message'],
        properties: { field: { type: 'string' }, message: { type: 'string' } },
      },
    },
  },
};

/** An error of this code as it may look. */
export function errorExample(code: ErrorCode): unknown {
  const invalid = code === 'VALIDATION_ERROR';
  return {
    detail: invalid ? 'Validation error in request data' : 'What is wrong',
    error_code: code,
    status_code: ERROR_STATUS[code],
    timestamp: '2024-01-01T12:00:00.000Z',
    request_id: '7f0c3f6e-2f0b-4b2b-9d38-0d5b5c1f6a11',
    ...(invalid && { errors: [{ field: 'email', message: 'email must be an e-mail address' }] }),
  };
}

const count = (description: string): Schema => ({ type: ['integer', 'null'], description });

/** The pagination block. */
export const paginationSchema: Schema = {
  type: 'object',
  description: 'Where a page stands in its list. In cursor mode page, total and pages are null.',
  required: ['page', 'size', 'total', 'pages', 'has_next', 'has_prev', 'next_cursor'],
  properties: {
    page: count('Page number.'),
    size: { type: 'integer', description: 'Rows per page.' },
    total: count('Rows in the list.'),
    pages: count('Pages in the list.'),
    has_next: { type: 'boolean', description: 'Whether more follow.' },
    has_prev: { type: 'boolean', description: 'Whether there is a page before.' },
    next_cursor: { type: ['string', 'null'], description: 'Continues the list after this page.' },
  },
};

/** An example of a schema, put together from the examples of its fields. */
export function exampleOf(schema: Schema, schemas: Record<string, Schema>): unknown {
  if (schema.example !== undefined) return schema.example;
  if (schema.$ref) return exampleOf(schemas[schema.$ref.split('/').at(-1)!] ?? {}, schemas);
  const composed = schema.allOf?.[0] ?? schema.oneOf?.[0] ?? schema.anyOf?.[0];
  if (composed) return exampleOf(composed, schemas);
  if (schema.properties) {
    return Object.fromEntries(
      Object.entries(schema.properties).map(([name, inner]) => [name, exampleOf(inner, schemas)]),
    );
  }
  if (schema.items) return [exampleOf(schema.items, schemas)];
  if (schema.default !== undefined) return schema.default;
  return schema.nullable ? null : {};
}

/** What a kind of value has beside its name; null has none of it, and generators expect none of it there. */
const OF_A_KIND = ['type', 'enum', 'items', 'minItems', 'maxItems', 'properties', 'required', 'additionalProperties'];
const COMPOSED = ['allOf', 'oneOf', '$ref'];

/** The schema with null beside it: a plain value's in its type, anything else's as a variant. */
function orNull(schema: Schema): Schema {
  const isPlain = typeof schema.type === 'string' && !OF_A_KIND.slice(1).some((key) => key in schema);
  if (isPlain) return { ...schema, type: [schema.type as string, 'null'] };
  const about = { ...schema };
  for (const key of [...OF_A_KIND, ...COMPOSED]) delete about[key];
  const kind = Object.fromEntries(OF_A_KIND.filter((key) => key in schema).map((key) => [key, schema[key]])) as Schema;
  if (kind.enum) kind.enum = kind.enum.filter((value) => value !== null);
  const variants = schema.allOf ?? schema.oneOf ?? [schema.$ref ? { $ref: schema.$ref } : kind];
  return { ...about, anyOf: [...variants, { type: 'null' }] };
}

/** Variants beside null stand in one row, unless a discriminator tells them apart. */
function inOneRow(schema: Schema): Schema {
  const { discriminator, anyOf, ...rest } = schema;
  if (!anyOf) return schema;
  if (discriminator) return { ...rest, anyOf: anyOf.map((one) => (one.oneOf ? { ...one, discriminator } : one)) };
  return { ...rest, anyOf: anyOf.flatMap((one) => (one.oneOf && Object.keys(one).length === 1 ? one.oneOf : [one])) };
}

/** OpenAPI 3.0's `nullable` → 3.1's null type, everywhere, in the form that generators of clients understand best. */
export function inOpenApi31(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOpenApi31);
  if (value === null || typeof value !== 'object') return value;
  const result = inOneRow(
    Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [key, key === 'example' ? inner : inOpenApi31(inner)]),
    ) as Schema,
  );
  const { type, nullable } = result;
  if (nullable === true) {
    delete result.nullable;
    return orNull(result);
  }
  // Nest's own way of saying it.
  if (Array.isArray(type) && type.length === 2 && type[1] === 'null') return orNull({ ...result, type: type[0]! });
  return result;
}
