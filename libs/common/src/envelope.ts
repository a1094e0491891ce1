import type { FieldError } from './errors.js';

/** The pagination block of every list answer; counts are null in cursor mode. */
export interface Pagination {
  page: number | null;
  size: number;
  total: number | null;
  pages: number | null;
  has_next: boolean;
  has_prev: boolean;
  next_cursor: string | null;
}

/** One page of a list. */
export class Page<T> {
  constructor(
    readonly data: T[],
    readonly pagination: Pagination,
  ) {}
}

/** One page whose rows PostgreSQL already rendered as JSON, passed through without being parsed. */
export class JsonPage {
  constructor(
    readonly rows: string[],
    readonly pagination: Pagination,
  ) {}
}

/** An answer whose status depends on what happened: 201 when made now, 200 when it was there before. */
export class Answer<T> {
  constructor(
    readonly data: T,
    readonly status: 200 | 201,
  ) {}
}

/** The success body as JSON text: `{data, pagination?, status, timestamp}`. */
export function renderSuccess(payload: unknown, now = new Date()): string {
  const tail = `"status":"success","timestamp":"${now.toISOString()}"}`;
  if (payload instanceof Page) {
    return `{"data":${JSON.stringify(payload.data)},"pagination":${JSON.stringify(payload.pagination)},${tail}`;
  }
  if (payload instanceof JsonPage) {
    return `{"data":[${payload.rows.join(',')}],"pagination":${JSON.stringify(payload.pagination)},${tail}`;
  }
  const data = payload instanceof Answer ? (payload.data as unknown) : payload;
  return `{"data":${JSON.stringify(data ?? null)},${tail}`;
}

/** The error body: the one shape of every failure. */
export interface ErrorBody {
  detail: string;
  error_code: string;
  status_code: number;
  timestamp: string;
  request_id: string;
  errors?: FieldError[];
}
