import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Pool, type PoolClient } from 'pg';
import { ApiError, unavailable } from '#libs/common';
import { classify, Database, isRetryable, isStatementFault } from '#libs/database';
import { Hub, type RoomChange } from '#libs/realtime';
import { sendOutcomes, sendStatement, type MessageSend, type SendOutcome } from './message-sends.js';

const MAX_BATCH = 256;
const MAX_WAITING = 10_000;
const MAX_RUNS = 3;

interface Waiting {
  send: MessageSend;
  resolve: (outcome: SendOutcome) => void;
  reject: (error: unknown) => void;
}

/** Executes sends in one commit; the seam through which tests make a database fail in mid-flush. */
export interface SendExecutor {
  /** Rejects with the driver's own error. */
  execute(sends: MessageSend[]): Promise<SendOutcome[]>;
  close(): Promise<void>;
}

/** Injection token of the {@link SendExecutor}. */
export const SEND_EXECUTOR = Symbol('SendExecutor');

/** The error of a send that certainly was not stored because no connection was to be had. */
class NotSent extends Error {}

const ignore = (): void => undefined;

/** Runs the batch as one named statement on connections of its own, so that no slow read delays a send. */
@Injectable()
export class PostgresSendExecutor implements SendExecutor {
  private readonly pool: Pool;

  constructor(database: Database) {
    this.pool = new Pool({
      connectionString: database.url,
      max: 2,
      connectionTimeoutMillis: 5_000,
      statement_timeout: 15_000,
      query_timeout: 20_000,
      keepAlive: true,
    });
    this.pool.on('error', () => undefined);
  }

  async execute(sends: MessageSend[]): Promise<SendOutcome[]> {
    let connection: PoolClient;
    try {
      connection = await this.pool.connect();
    } catch (error) {
      throw new NotSent('not sent', { cause: error });
    }
    // The session may end just after the answer, before the pool listens again; unheard, that ends the process.
    connection.on('error', ignore);
    try {
      const { rows } = await connection.query(sendStatement(sends));
      connection.release();
      return sendOutcomes(sends, rows as never);
    } catch (error) {
      connection.release(!isStatementFault(error));
      throw error;
    } finally {
      connection.off('error', ignore);
    }
  }

  close(): Promise<void> {
    return this.pool.end();
  }
}

/**
 * Group commit: sends that arrive while a flush is running wait for it and go together in the next. A lone send goes
 * at once, with no timer, so it pays what a commit of its own would. One flush is in flight, so the order of arrival
 * is the order of seqs in a room. At most 10,000 sends wait; beyond that new ones are refused, none is dropped.
 */
@Injectable()
export class MessageWriter implements OnApplicationShutdown {
  private waiting: Waiting[] = [];
  private flushing = false;

  constructor(
    @Inject(SEND_EXECUTOR) private readonly executor: SendExecutor,
    private readonly hub: Hub,
  ) {}

  /** How many sends wait for a flush. */
  get depth(): number {
    return this.waiting.length;
  }

  /** Resolves with the outcome once it is committed; a 503 that says so when the outcome is unknown. */
  send(send: MessageSend): Promise<SendOutcome> {
    if (this.waiting.length >= MAX_WAITING) {
      return Promise.reject(unavailable('Too many messages are waiting to be stored'));
    }
    return new Promise((resolve, reject) => {
      this.waiting.push({ send, resolve, reject });
      if (!this.flushing) void this.flush();
    });
  }

  async onApplicationShutdown(): Promise<void> {
    await this.executor.close();
  }

  private async flush(): Promise<void> {
    this.flushing = true;
    while (this.waiting.length > 0) await this.store(this.takeBatch());
    this.flushing = false;
  }

  /** The oldest sends; a resend of one that is in the batch already waits for the next, which will find the first. */
  private takeBatch(): Waiting[] {
    const batch: Waiting[] = [];
    const deferred: Waiting[] = [];
    const named = new Set<string>();
    let taken = 0;
    while (taken < this.waiting.length && batch.length < MAX_BATCH) {
      const item = this.waiting[taken++]!;
      const { send } = item;
      if (send.clientMessageId !== null) {
        const name = `${send.clientId} ${send.roomId} ${send.senderId} ${send.clientMessageId}`;
        if (named.has(name)) {
          deferred.push(item);
          continue;
        }
        named.add(name);
      }
      batch.push(item);
    }
    this.waiting = [...deferred, ...this.waiting.slice(taken)];
    return batch;
  }

  /** Stores a batch and answers everyone in it; never rejects. */
  private async store(batch: Waiting[]): Promise<void> {
    for (let run = 1; ; run++) {
      try {
        const outcomes = await this.executor.execute(batch.map((item) => item.send));
        this.hub.changed(...batch.flatMap(({ send }, index) => messageChange(send.clientId, outcomes[index]!)));
        batch.forEach((item, index) => item.resolve(outcomes[index]!));
        return;
      } catch (error) {
        if (isRetryable(error) && run < MAX_RUNS) continue;
        // PostgreSQL refused the statement, so nothing of it is stored: alone, one bad row fails alone.
        if (isStatementFault(error) && batch.length > 1) {
          for (const item of batch) await this.store([item]);
          return;
        }
        for (const item of batch) item.reject(failureOf(error));
        return;
      }
    }
  }
}

/** The change a send made, if it made one. */
export function messageChange(clientId: string, { message }: SendOutcome): RoomChange[] {
  if (!message) return [];
  const { room_id: roomId, seq, created_at: timestamp } = message;
  return [{ clientId, roomId, seq, frame: { type: 'message', room_id: roomId, seq, data: message, timestamp } }];
}

function failureOf(error: unknown): unknown {
  if (error instanceof ApiError) return error;
  if (error instanceof NotSent)
    return unavailable('The database is not reachable; the message was not sent', error.cause);
  if (isStatementFault(error)) return classify(error);
  return unavailable(
    'Whether the message was stored is unknown; send it again with the same client_message_id, which cannot make a second one',
    error,
  );
}
