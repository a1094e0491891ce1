import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Answer, ApiError, invalid, renderSuccess } from '#libs/common';
import { Database, type Tx } from '#libs/database';
import type { IdempotencyIntent, Principal } from './principal.js';
import { SecretBox } from './secret-box.js';

/** Hours an Idempotency-Key is remembered. */
export const IDEMPOTENCY_HOURS = 24;

/** Not a failure: carries the stored answer of an equal earlier request to whoever renders. */
export class IdempotentReplay extends Error {
  constructor(
    readonly status: number,
    readonly body: string,
  ) {
    super('Replayed');
  }
}

const rendered = new WeakMap<object, string>();

/** The body already rendered (and stored) for a result, so that what is sent first is what is replayed. */
export function renderedBody(result: object): string | undefined {
  return rendered.get(result);
}

interface RecordRow {
  body_hash: Buffer;
  status: number;
  response: Buffer;
}

/** Transactions on behalf of a principal: the change and its idempotency record commit together, or neither does. */
@Injectable()
export class UnitOfWork {
  constructor(
    private readonly database: Database,
    private readonly box: SecretBox,
  ) {}

  /** Runs the work in one transaction; re-run whole on 40001 and 40P01. */
  run<T extends object>(caller: Principal, work: (tx: Tx) => Promise<T>): Promise<T> {
    const { idempotency } = caller;
    if (!idempotency) return this.database.run(work);
    return this.database.run((tx) => this.once(tx, caller, idempotency, work));
  }

  private async once<T extends object>(
    tx: Tx,
    caller: Principal,
    intent: IdempotencyIntent,
    work: (tx: Tx) => Promise<T>,
  ): Promise<T> {
    // By key for a client: a narrower key must not be handed what a wider one was answered.
    const principal = caller.kind === 'client' ? `key:${caller.keyId}` : caller.id;
    const identity = [caller.clientId, principal, intent.route, intent.key];
    const hash = hashOf(intent.body);
    // Held until the commit is visible, so whoever gets it sees the record, if there is one.
    const [lock] = await tx.query<{ ok: boolean }>('SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS ok', [
      JSON.stringify(identity),
    ]);
    if (!lock!.ok) {
      throw new ApiError('IDEMPOTENCY_IN_PROGRESS', 'A request with this Idempotency-Key is still running', {
        retryAfterSeconds: 1,
      });
    }
    const [record] = await tx.query<RecordRow>(
      `SELECT body_hash, status, response FROM idempotency_records
       WHERE client_id = $1 AND principal = $2 AND route = $3 AND key = $4
         AND created_at > now() - interval '${IDEMPOTENCY_HOURS} hours'`,
      identity,
    );
    if (record && !record.body_hash.equals(hash)) {
      throw new ApiError('IDEMPOTENCY_KEY_REUSED', 'This Idempotency-Key was used with another body');
    }
    if (record) throw new IdempotentReplay(record.status, this.box.open(record.response));
    const result = await work(tx);
    const body = renderSuccess(result);
    await tx.query(
      `INSERT INTO idempotency_records (client_id, principal, route, key, body_hash, status, response, created_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, now())
       ON CONFLICT (client_id, principal, route, key) DO UPDATE
       SET body_hash = excluded.body_hash, status = excluded.status, response = excluded.response, created_at = now()`,
      [...identity, hash, result instanceof Answer ? result.status : 201, this.box.seal(body)],
    );
    tx.afterCommit(() => rendered.set(result, body));
    return result;
  }
}

/** JSON.parse reads any depth, JSON.stringify does not: a field nobody asked for may be nested too deep for it. */
function hashOf(body: unknown): Buffer {
  let text: string;
  try {
    text = JSON.stringify(body ?? null);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw invalid({ field: 'body', message: 'body is nested too deep' });
  }
  return createHash('sha256').update(text).digest();
}
