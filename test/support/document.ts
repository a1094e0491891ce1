import type { TestApi } from './api.js';

/** A JSON Schema as the OpenAPI document writes it. */
// Tests look into schemas of every shape.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Json = any;

/** One operation of the OpenAPI document. */
export interface DocumentedOperation {
  /** As in `GET /rooms/{room_id}`: without the API's prefix. */
  name: string;
  method: string;
  path: string;
  parameters: { name: string; in: string; required?: boolean; schema: Json; description?: string }[];
  /** What the document says of it, its answers in place of references to them. */
  spec: Json;
}

/** The OpenAPI document the running application serves. */
export async function readDocument(api: TestApi): Promise<Json> {
  return (await fetch(`${api.url}/openapi.json`)).json();
}

/** Every operation of the document. */
export function operationsOf(document: Json): DocumentedOperation[] {
  const found: DocumentedOperation[] = [];
  for (const [fullPath, methods] of Object.entries<Json>(document.paths)) {
    for (const [method, spec] of Object.entries<Json>(methods)) {
      const path = fullPath.replace('/api/v1', '');
      const name = `${method.toUpperCase()} ${path}`;
      const responses = Object.entries<Json>(spec.responses).map(([status, response]) => [
        status,
        response.$ref ? document.components.responses[response.$ref.split('/').at(-1)] : response,
      ]);
      found.push({
        name,
        method: method.toUpperCase(),
        path,
        parameters: spec.parameters ?? [],
        spec: { ...spec, responses: Object.fromEntries(responses) },
      });
    }
  }
  return found;
}

/** The list endpoints: GET operations whose 200 answer has a `pagination`. */
export function listsOf(document: Json): DocumentedOperation[] {
  return operationsOf(document).filter(({ method, spec }) => {
    const schema = spec.responses['200']?.content?.['application/json']?.schema;
    return method === 'GET' && schema?.properties?.pagination !== undefined;
  });
}

/** The operations that take an Idempotency-Key. */
export function creatorsOf(document: Json): DocumentedOperation[] {
  return operationsOf(document).filter(({ parameters }) => parameters.some(({ name }) => name === 'Idempotency-Key'));
}

/** A path with its parameters filled in; fails on one without a value. */
export function fillPath(path: string, ids: Record<string, string>): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const id = ids[name];
    if (id === undefined) throw new Error(`no value for the path parameter ${name} of ${path}`);
    return id;
  });
}
