import { Pool, type ClientBase } from 'pg';
import { isConnectionFault, isStatementFault, NoConnection } from './postgres-errors.js';
import { TextQuery, type NamedStatement, type TextRow } from './text-query.js';

/**
 * How their statements are planned: once, and as nested look-ups by index, whatever the statistics of a young or a huge
 * table suggest.
 */
const PLANNING = `SET plan_cache_mode = force_generic_plan; SET jit = off; SET enable_seqscan = off;
  SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off`;

const ignore = (): void => undefined;

/** What sessions are like. */
export interface HotSessionsOptions {
  /** Sessions at most. */
  max: number;
  /** Longest wait for a row that another transaction holds. */
  lockTimeoutMs: number;
  /** After how long without work a session is closed; 0: never. */
  idleMs?: number;
}

/**
 * Sessions apart from the pool for the hottest statements, which touch few rows by key: nothing slow delays them, and
 * their planning is a setting of the session, not of every call. They stay open, and with them their plans, unless told
 * otherwise.
 */
export class HotSessions {
  private readonly pool: Pool;

  constructor(url: string, { max, lockTimeoutMs, idleMs = 0 }: HotSessionsOptions) {
    const settle = async (client: ClientBase): Promise<unknown> =>
      client.query(`${PLANNING}; SET lock_timeout = ${lockTimeoutMs}`);
    this.pool = new Pool({
      connectionString: url,
      max,
      connectionTimeoutMillis: 5_000,
      idleTimeoutMillis: idleMs,
      statement_timeout: 15_000,
      query_timeout: 20_000,
      keepAlive: true,
      // The pool waits for the promise, whatever its types say.
      onConnect: settle as (client: ClientBase) => void,
    });
    this.pool.on('error', ignore);
  }

  /** Rejects with the driver's own error, or {@link NoConnection} when the statement was certainly not sent. */
  rows(statement: NamedStatement): Promise<TextRow[]> {
    return new Promise((resolve, reject) => {
      this.pool.connect((fault, client, release) => {
        if (fault || !client) return reject(new NoConnection('no connection', { cause: fault }));
        // The session may end just after the answer, before the pool listens again; unheard, that ends the process.
        client.on('error', ignore);
        client.query(
          new TextQuery(statement, (error, rows) => {
            release(Boolean(error) && (!isStatementFault(error) || isConnectionFault(error)));
            client.off('error', ignore);
            if (rows) resolve(rows);
            else reject(error!);
          }),
        );
      });
    });
  }

  /** Closes them once what runs has finished. */
  close(): Promise<void> {
    return this.pool.end();
  }
}
