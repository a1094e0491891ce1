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

/** OpenAPI 3.0's `nullable` → 3.1's null type, everywhere. */
export function inOpenApi31(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOpenApi31);
  if (value === null || typeof value !== 'object') return value;
  const result = Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, key === 'example' ? inner : inOpenApi31(inner)]),
  ) as Schema;
  // A discriminator stands beside the variants it tells apart, and null is none of them.
  const { discriminator, anyOf } = result;
  if (discriminator && anyOf) {
    delete result['discriminator'];
    result.anyOf = anyOf.map((one) => (one.oneOf ? { ...one, discriminator } : one));
  }
  if (result.nullable !== true) return result;
  delete result.nullable;
  const composed = result.allOf ?? result.oneOf ?? (result.$ref ? [{ $ref: result.$ref }] : undefined);
  if (composed === undefined && typeof result.type === 'string') {
    result.type = [result.type, 'null'];
    if (result.enum && !result.enum.includes(null)) result.enum = [...result.enum, null];
    return result;
  }
  for (const key of ['allOf', 'oneOf', '$ref', 'type']) delete result[key];
  return { ...result, anyOf: [...(composed ?? []), { type: 'null' }] };
}
