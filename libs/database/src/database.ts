import { setTimeout as delay } from 'node:timers/promises';
import { Pool, type CustomTypesConfig, type PoolClient, type QueryResultRow, types } from 'pg';
import { classify, isConnectionFault, isRetryable } from './postgres-errors.js';
import type { NamedStatement, TextRow } from './text-query.js';

// Counters and seqs stay far below 2^53; as numbers they are JSON numbers.
types.setTypeParser(types.builtins.INT8, Number);

const asText = (value: string): string => value;
const AS_TEXT = { rowMode: 'array' as const, types: { getTypeParser: () => asText } as CustomTypesConfig };
const TX = Symbol('Tx');
const MAX_RUNS = 5;
const STATEMENT_TIMEOUT_MS = 30_000;
/** How much longer than PostgreSQL the driver waits before it takes the connection for dead. */
const ANSWER_MARGIN_MS = 5_000;
const PATIENT_MS = 3_600_000;

/** Anything that answers SQL: the pool or a transaction. */
export interface Sql {
  query<T extends QueryResultRow>(sql: string, params?: unknown[]): Promise<T[]>;
}

/** An open transaction. Only {@link Database.run} makes one, so a writer that takes a Tx is inside a commit. */
export interface Tx extends Sql {
  readonly [TX]: true;
  /** Runs a hot statement that PostgreSQL parses and plans once per connection, under its name. */
  prepared<T extends QueryResultRow>(name: string, text: string, values: unknown[]): Promise<T[]>;
  /** The same with rows as arrays, each value as PostgreSQL's own text. */
  preparedText(statement: NamedStatement): Promise<TextRow[]>;
  /** Runs once this transaction has committed, and only then. It must not throw. */
  afterCommit(work: () => void): void;
  /** From here on a statement of this transaction may take an hour: for what grows with all that a tenant has stored. */
  patient(): Promise<void>;
}

/** The PostgreSQL pool and the unit of work. */
export class Database implements Sql {
  readonly pool: Pool;

  constructor(
    readonly url: string,
    options: { max?: number; statementTimeoutMs?: number; onError?: (error: Error) => void } = {},
  ) {
    const statementTimeoutMs = options.statementTimeoutMs ?? STATEMENT_TIMEOUT_MS;
    this.pool = new Pool({
      connectionString: url,
      max: options.max ?? 10,
      connectionTimeoutMillis: 5_000,
      statement_timeout: statementTimeoutMs,
      query_timeout: statementTimeoutMs + ANSWER_MARGIN_MS,
      keepAlive: true,
    });
    this.pool.on('error', (error) => options.onError?.(error));
  }

  /** Runs one statement outside a transaction. */
  async query<T extends QueryResultRow>(sql: string, params: unknown[] = []): Promise<T[]> {
    try {
      return (await this.pool.query<T>(sql, params)).rows;
    } catch (error) {
      throw classify(error);
    }
  }

  /** Runs a hot statement that PostgreSQL parses and plans once per connection, under its name. */
  async prepared<T extends QueryResultRow>(name: string, text: string, values: unknown[]): Promise<T[]> {
    try {
      return (await this.pool.query<T>({ name, text, values })).rows;
    } catch (error) {
      throw classify(error);
    }
  }

  /** The same with rows as arrays, each value as PostgreSQL's own text, parsed by whoever needs it. */
  async preparedText(statement: NamedStatement): Promise<TextRow[]> {
    try {
      return (await this.pool.query<TextRow>({ ...statement, ...AS_TEXT })).rows;
    } catch (error) {
      throw classify(error);
    }
  }

  /**
   * Runs the unit of work in one transaction, the whole of it again when PostgreSQL asks for that (40001, 40P01).
   * Nothing but SQL belongs inside. A commit whose outcome is unknown is a 503.
   */
  async run<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    for (let run = 1; ; run++) {
      try {
        return await this.runOnce(work);
      } catch (error) {
        if (!isRetryable(error) || run === MAX_RUNS) throw classify(error);
        await delay(Math.random() * 10 * run);
      }
    }
  }

  /** Closes the pool once what runs has finished. */
  close(): Promise<void> {
    return this.pool.end();
  }

  private async runOnce<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    const connection = await this.pool.connect();
    const committed: (() => void)[] = [];
    let broken: Error | undefined;
    // The session may end between two statements, when nobody else listens; unheard, that ends the process.
    const onError = (error: Error): void => void (broken = error);
    connection.on('error', onError);
    try {
      await connection.query('BEGIN');
      const result = await work(transactionOn(connection, committed));
      await connection.query('COMMIT');
      for (const after of committed) after();
      return result;
    } catch (error) {
      await connection.query('ROLLBACK').catch((fault: Error) => (broken = fault));
      if (isConnectionFault(error)) broken ??= error as Error;
      throw error;
    } finally {
      connection.release(broken);
      connection.off('error', onError);
    }
  }
}

function transactionOn(connection: PoolClient, committed: (() => void)[]): Tx {
  // The driver's types do not know that its own limit can be set for one query.
  let limits: { query_timeout?: number } = {};
  return {
    [TX]: true,
    query: async <T extends QueryResultRow>(text: string, values: unknown[] = []) =>
      (await connection.query<T>({ text, values, ...limits })).rows,
    prepared: async <T extends QueryResultRow>(name: string, text: string, values: unknown[]) =>
      (await connection.query<T>({ name, text, values, ...limits })).rows,
    preparedText: async (statement) => (await connection.query<TextRow>({ ...statement, ...AS_TEXT, ...limits })).rows,
    afterCommit: (work) => committed.push(work),
    patient: async () => {
      await connection.query(`SET LOCAL statement_timeout = ${PATIENT_MS}`);
      limits = { query_timeout: PATIENT_MS + ANSWER_MARGIN_MS };
    },
  };
}
