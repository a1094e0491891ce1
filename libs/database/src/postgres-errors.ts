import { ApiError, unavailable } from '#libs/common';

interface PostgresError extends Error {
  code?: string;
  constraint?: string;
}

/** The statement certainly had no effect: there was no connection to send it on. */
export class NoConnection extends Error {}

const CONNECTION_FAULTS = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOENT',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/** The name of the violated unique constraint, when the error is one (SQLSTATE 23505). */
export function uniqueViolation(error: unknown): string | undefined {
  const { code, constraint } = (error ?? {}) as PostgresError;
  return code === '23505' ? constraint : undefined;
}

/** Serialisation failures and deadlocks: the transaction had no effect and may be run again. */
export function isRetryable(error: unknown): boolean {
  const { code } = (error ?? {}) as PostgresError;
  return code === '40001' || code === '40P01';
}

/** A row that another transaction held for longer than this session waits: the statement had no effect. */
export function isLockTimeout(error: unknown): boolean {
  return ((error ?? {}) as PostgresError).code === '55P03';
}

/** A server that is there and can do nothing: out of disk, memory or connections, or one that others write to. */
function isHelpless(code: string): boolean {
  return code.startsWith('53') || code === '25006';
}

/** Whether the database could not be reached, refused the session, went away, or is no help: try another session. */
export function isConnectionFault(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof NoConnection) return true;
  const { code, message } = error as PostgresError;
  if (code !== undefined) {
    return CONNECTION_FAULTS.has(code) || code.startsWith('08') || code.startsWith('57P') || isHelpless(code);
  }
  return /Connection terminated|connection timeout|timeout exceeded when trying to connect|Query read timeout|pool after calling end|not queryable/i.test(
    message,
  );
}

/** What every foreign key of a tenant's table to its client is called. */
const TO_CLIENT = /_client_fkey$/;

/** As {@link classify}, for whoever asked: someone whose client was erased meanwhile has no key any more. */
export function classifyForCaller(thrown: unknown): unknown {
  const { code, constraint } = (thrown ?? {}) as PostgresError;
  if (code === '23503' && constraint !== undefined && TO_CLIENT.test(constraint)) {
    return new ApiError('INVALID_CREDENTIALS', 'Invalid or missing API key', { cause: thrown });
  }
  return classify(thrown);
}

/** Whether {@link classify} made this of a database that could not be reached or went away. */
export function isDatabaseAway(error: unknown): boolean {
  return error instanceof ApiError && isConnectionFault(error.cause);
}

/** Whether PostgreSQL itself reported the error, so that the statement certainly had no effect. */
export function isStatementFault(error: unknown): boolean {
  const { code } = (error ?? {}) as PostgresError;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && !code.startsWith('08') && !code.startsWith('57P');
}

/** Turns what the driver threw into what a caller may see; other errors pass. */
export function classify(error: unknown): unknown {
  if (error instanceof ApiError) return error;
  if (isConnectionFault(error)) return unavailable('The database is not reachable', error);
  const { code } = (error ?? {}) as PostgresError;
  if (code === '57014') return unavailable('The query took too long', error, 5);
  if (isLockTimeout(error)) return unavailable('What this is about is just being changed at length', error, 5);
  if (isRetryable(error)) return unavailable('The database is too contended', error);
  return error;
}
