import { invalid, isUuid, Page, type ListQueryDto, type Pagination } from '#libs/common';
import type { QueryResultRow } from 'pg';
import type { Sql } from './database.js';

/** Collects SQL conditions and their parameters. */
export class Conditions {
  readonly params: unknown[] = [];
  private readonly parts: string[] = [];

  /** Adds a condition; each `?` stands for the next value. */
  add(sql: string, ...values: unknown[]): this {
    let next = 0;
    this.parts.push(sql.replace(/\?/g, () => this.bind(values[next++])));
    return this;
  }

  /** Adds the condition only when the value is given. */
  when(value: unknown, sql: string): this {
    return value === undefined ? this : this.add(sql, value);
  }

  /** Adds a parameter and returns its placeholder. */
  bind(value: unknown): string {
    this.params.push(value);
    return `$${this.params.length}`;
  }

  /** The conditions joined by AND. */
  get sql(): string {
    return this.parts.length === 0 ? 'true' : this.parts.join(' AND ');
  }
}

/** First instant of the range a `start_date` opens. */
export function rangeStart(value: string): Date {
  return new Date(value.length === 10 ? `${value}T00:00:00.000Z` : value);
}

/** Last instant of the range an `end_date` closes: the end of the day when it is a date. */
export function rangeEnd(value: string): Date {
  return new Date(value.length === 10 ? `${value}T23:59:59.999Z` : value);
}

/** Adds `start_date` and `end_date` on a column. */
export function addDateRange(where: Conditions, column: string, query: ListQueryDto): void {
  if (query.start_date) where.add(`${column} >= ?`, rangeStart(query.start_date));
  if (query.end_date) where.add(`${column} <= ?`, rangeEnd(query.end_date));
}

/** How a list sorts by one column: a never-null SQL expression and its PostgreSQL type. */
export interface SortColumn {
  sql: string;
  type: 'timestamptz' | 'text' | 'bigint' | 'uuid';
}

/** One list: what it selects, from where, how it can be sorted. */
export interface ListSpec {
  select: string;
  from: string;
  where: Conditions;
  sorts: Record<string, SortColumn>;
  /** SQL of the tie-breaker, a uuid. */
  id: string;
  /** Counts without looking at the rows; left out: COUNT(*) of the same conditions. */
  total?: () => Promise<number>;
}

/** List, sort and order of a cursor; sort value and id of the row it stands after. */
export interface CursorContent {
  l: string;
  s: string;
  o: string;
  v: string;
  i: string;
}

// No year 0: PostgreSQL has none.
const TIME = /^((?!0000)\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.\d{1,6})?[+-](?:0\d|1[0-5])(?::[0-5]\d)?$/;

/** Whether PostgreSQL reads the text as the timestamptz it once wrote. */
function isTime(text: string): boolean {
  if (text === '-infinity') return true;
  const [, day, time] = TIME.exec(text) ?? [];
  const ms = Date.parse(`${day}T${time}Z`);
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(`${day}T${time}`);
}

/** What tells lists apart in a cursor: each has a query class of its own. */
function listName(query: ListQueryDto): string {
  return query.constructor.name;
}

/** The position a cursor stands at; a 422 when it is not one of this list, sort and order. */
export function readCursor(query: ListQueryDto, type: SortColumn['type']): CursorContent | undefined {
  if (query.cursor === undefined) return undefined;
  try {
    const content = JSON.parse(Buffer.from(query.cursor, 'base64url').toString()) as CursorContent;
    const usable =
      content.l === listName(query) &&
      content.s === query.sort &&
      content.o === query.order &&
      typeof content.v === 'string' &&
      !content.v.includes('\0') &&
      (type !== 'uuid' || isUuid(content.v)) &&
      (type !== 'bigint' || /^\d{1,18}$/.test(content.v)) &&
      (type !== 'timestamptz' || isTime(content.v)) &&
      isUuid(content.i);
    if (usable) return content;
  } catch {
    // Falls through to the one answer for every unusable cursor.
  }
  throw invalid({ field: 'cursor', message: 'cursor must come from the same list with the same sort and order' });
}

/** Writes the cursor after a row. */
export function writeCursor(query: ListQueryDto, value: string, id: string): string {
  return Buffer.from(JSON.stringify({ l: listName(query), s: query.sort, o: query.order, v: value, i: id })).toString(
    'base64url',
  );
}

/** The pagination block of a page that fetched one row more than its size. */
export function paginate(query: ListQueryDto, total: number | null, hasMore: boolean, next: string | null): Pagination {
  const size = query.size!;
  const byCursor = total === null;
  const page = query.page!;
  return {
    page: byCursor ? null : page,
    size,
    total,
    pages: byCursor ? null : Math.ceil(total / size),
    has_next: hasMore,
    has_prev: byCursor ? true : page > 1,
    next_cursor: hasMore ? next : null,
  };
}

/** Rows of a page with what its pagination needs. */
export interface PageRows<Row> {
  rows: Row[];
  pagination: Pagination;
}

type Keyed = { sort_key: string; id_key: string };

/**
 * Reads one page. By page number: OFFSET and an exact total. By cursor: keyset on (sort, id), which costs the same at
 * any depth where an index holds that order. Rows arriving meanwhile are neither skipped over nor repeated by a cursor.
 */
export async function readPage<Row extends QueryResultRow>(
  sql: Sql,
  query: ListQueryDto,
  spec: ListSpec,
): Promise<PageRows<Row>> {
  const sort = spec.sorts[query.sort!]!;
  const cursor = readCursor(query, sort.type);
  const size = query.size!;
  const direction = query.order === 'asc' ? 'ASC' : 'DESC';
  const total = cursor ? null : await (spec.total?.() ?? count(sql, spec));
  if (cursor) {
    spec.where.add(
      `(${sort.sql}, ${spec.id}) ${query.order === 'asc' ? '>' : '<'} (?::${sort.type}, ?::uuid)`,
      cursor.v,
      cursor.i,
    );
  }
  const limit = spec.where.bind(size + 1);
  const offset = cursor ? '' : `OFFSET ${spec.where.bind((query.page! - 1) * size)}`;
  const found = await sql.query<Row & Keyed>(
    `SELECT ${spec.select}, (${sort.sql})::text AS sort_key, ${spec.id} AS id_key
     FROM ${spec.from} WHERE ${spec.where.sql}
     ORDER BY ${sort.sql} ${direction}, ${spec.id} ${direction} LIMIT ${limit} ${offset}`,
    spec.where.params,
  );
  const rows = found.slice(0, size);
  const last = rows.at(-1);
  const next = last ? writeCursor(query, last.sort_key, last.id_key) : null;
  return { rows, pagination: paginate(query, total, found.length > size, next) };
}

/** {@link readPage} with every row mapped. */
export async function listPage<Row extends QueryResultRow, T>(
  sql: Sql,
  query: ListQueryDto,
  spec: ListSpec,
  map: (row: Row) => T,
): Promise<Page<T>> {
  const { rows, pagination } = await readPage<Row>(sql, query, spec);
  return new Page(rows.map(map), pagination);
}

async function count(sql: Sql, spec: ListSpec): Promise<number> {
  const [row] = await sql.query<{ n: number }>(
    `SELECT count(*) AS n FROM ${spec.from} WHERE ${spec.where.sql}`,
    spec.where.params,
  );
  return row!.n;
}
