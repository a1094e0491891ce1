// A typed client of ChatAPI: what the generated types leave to you, for Node and browsers. Copy it; see docs/sdk.md.
import createClient, { type FetchResponse, type MaybeOptionalInit } from 'openapi-fetch';
import type { components, paths } from './chatapi.ts';

export type Schemas = components['schemas'];

type Method = 'get' | 'post' | 'put' | 'delete';
type PathOf<M extends Method> = { [P in keyof paths]: paths[P] extends Record<M, object> ? P : never }[keyof paths];
type Init<M extends Method, P extends PathOf<M>> = MaybeOptionalInit<paths[P], M>;
type Call<M extends Method> = <P extends PathOf<M>>(
  path: P,
  ...init: undefined extends Init<M, P> ? [init?: Init<M, P>] : [init: Init<M, P>]
) => Promise<FetchResponse<paths[P][M] & object, object, 'application/json'>>;

/** openapi-fetch's client as it is, with types that refuse one thing more: fields an operation does not know. */
export interface ChatApi {
  GET: Call<'get'>;
  POST: Call<'post'>;
  PUT: Call<'put'>;
  DELETE: Call<'delete'>;
}

const ATTEMPTS = 5;
const LONGEST_WAIT_MS = 60_000;

/** A client for one key; without a key it can register an application. */
export function connect(baseUrl: string, key?: string): ChatApi {
  return createClient<paths>({
    baseUrl,
    fetch: fetchAgain,
    ...(key !== undefined && { headers: { Authorization: `Bearer ${key}` } }),
  }) as ChatApi;
}

/**
 * Repeats what was not answered, or was answered with `Retry-After`: after that time, else after a growing one.
 * A POST only with an Idempotency-Key, since the first may have arrived.
 */
export async function fetchAgain(request: Request): Promise<Response> {
  const isRepeatable = request.method !== 'POST' || request.headers.has('Idempotency-Key');
  for (let attempt = 1; ; attempt++) {
    const isLast = !isRepeatable || attempt === ATTEMPTS;
    let waitMs = 2 ** attempt * 100 * (0.5 + Math.random());
    try {
      const response = await fetch(request.clone());
      const retryAfterMs = Number(response.headers.get('Retry-After') ?? NaN) * 1000;
      if (isLast || !(retryAfterMs <= LONGEST_WAIT_MS)) return response;
      await response.body?.cancel();
      waitMs = Math.max(waitMs, retryAfterMs);
    } catch (error) {
      if (isLast || request.signal.aborted) throw error;
    }
    await pause(waitMs, request.signal);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

/** A refusal: `body` is the API's one error format, or undefined when something between you and the API answered. */
export class ChatApiError extends Error {
  readonly status: number;
  readonly body: Schemas['ErrorDto'] | undefined;

  constructor(status: number, body: unknown) {
    const known = isErrorBody(body) ? body : undefined;
    super(known ? `${known.error_code}: ${known.detail}` : `HTTP ${status}`);
    this.status = status;
    this.body = known;
  }
}

function isErrorBody(body: unknown): body is Schemas['ErrorDto'] {
  return typeof body === 'object' && body !== null && 'error_code' in body;
}

type Outcome<Body> =
  { data: Body; error?: never; response: Response } | { data?: never; error: unknown; response: Response };

/** The body of what succeeded; throws ChatApiError for everything else. */
export async function ok<Body>(call: Promise<Outcome<Body>>): Promise<Body> {
  const { data, error, response } = await call;
  if (!response.ok) throw new ChatApiError(response.status, error);
  return data as Body;
}

/** Every row of a list, page after page; `page` asks for one, each time with the same query but for the cursor. */
export async function* everyRow<Row>(
  page: (from: { cursor?: string }) => Promise<{ data: Row[]; pagination: Schemas['Pagination'] }>,
): AsyncGenerator<Row, void> {
  let cursor: string | null = null;
  do {
    const { data, pagination } = await page(cursor === null ? {} : { cursor });
    yield* data;
    cursor = pagination.next_cursor;
  } while (cursor !== null);
}
