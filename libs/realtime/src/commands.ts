import { Inject, Injectable } from '@nestjs/common';
import type { WsMessageHandler } from '@nestjs/common';
import type { Logger } from 'pino';
import { Answer, ApiError } from '#libs/common';
import { classifyForCaller } from '#libs/database';
import { faultOf, LOGGER } from '#libs/observability';
import type { Principal, RateState } from '#libs/security';
import { CLOSE } from './close-codes.js';
import type { Connection, ReplyHandle } from './connection.js';
import type { Fault } from './frames.js';
import { RealtimeMetrics } from './realtime-metrics.js';
import { Timings } from './timings.js';

const MAX_RUNNING = 256;
const MAX_EARLY = 100;

/** One command of a socket on its way through guards, pipe and handler. */
export class CommandCall {
  readonly principal: Principal;
  rate?: RateState;
  /** What went wrong, put here by the filter. */
  failure: unknown;
  /** Called once the answer has been handed to the connection. */
  afterReply: (() => void) | undefined;

  constructor(
    readonly connection: Connection,
    readonly command: string,
    readonly data: unknown,
    readonly ref: string | number | undefined,
  ) {
    this.principal = connection.principal;
  }
}

type Handler = (call: CommandCall) => Promise<unknown>;

/** Runs the commands of both transports through the gateways, and answers. */
@Injectable()
export class Commands {
  /** True while the process stops: nothing new is begun. */
  draining = false;
  private readonly handlers = new Map<string, Handler>();
  private running = 0;

  constructor(
    private readonly timings: Timings,
    private readonly metrics: RealtimeMetrics,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** Called by Nest with the handlers of each gateway. */
  bind(handlers: WsMessageHandler[]): void {
    for (const { message, callback } of handlers) {
      if (this.handlers.has(message)) throw new Error(`Two gateways take the command ${message}`);
      this.handlers.set(message, callback as unknown as Handler);
    }
  }

  /** How many commands run now. */
  get active(): number {
    return this.running;
  }

  /** Something came in that is no command. */
  malformed(connection: Connection, handle: ReplyHandle, detail: string): void {
    if (this.counts(connection)) connection.refuse(handle, { code: 'BAD_REQUEST', detail, ref: handle.ref });
  }

  /** A command. What comes before the welcome waits for it. */
  receive(connection: Connection, command: string, data: unknown, handle: ReplyHandle): void {
    if (!this.counts(connection)) return;
    if (connection.welcomed) return void this.run(connection, command, data, handle);
    const early = (connection.early ??= []);
    if (early.length < MAX_EARLY) early.push(() => void this.run(connection, command, data, handle));
    else this.refuse(connection, command, handle, busy());
  }

  private async run(connection: Connection, command: string, data: unknown, handle: ReplyHandle): Promise<void> {
    if (connection.closed) return;
    const handler = this.handlers.get(command);
    if (!handler) return this.refuse(connection, 'unknown', handle, new ApiError('BAD_REQUEST', 'Unknown command'));
    if (this.draining) {
      return this.refuse(connection, command, handle, new ApiError('SERVICE_UNAVAILABLE', 'The server is going away'));
    }
    if (connection.running >= MAX_RUNNING) return this.refuse(connection, command, handle, busy());
    const call = new CommandCall(connection, command, data ?? {}, handle.ref);
    connection.running++;
    this.running++;
    let result: unknown;
    try {
      result = await handler(call);
    } catch (error) {
      call.failure = error;
    } finally {
      connection.running--;
      this.running--;
    }
    if (call.failure !== undefined) return this.refuse(connection, command, handle, call.failure);
    this.metrics.answered(command, 'ok');
    connection.answer(handle, (result instanceof Answer ? result.data : result) ?? {});
    call.afterReply?.();
  }

  private refuse(connection: Connection, command: string, handle: ReplyHandle, thrown: unknown): void {
    const error = asApiError(thrown);
    this.metrics.answered(command, error.code);
    if (error.status >= 500) {
      const fields = { client_id: connection.principal.clientId, command, fault: faultOf(error.cause ?? thrown) };
      if (error.status === 500) this.logger.error(fields, error.code);
      else this.logger.warn(fields, error.code);
    }
    connection.refuse(handle, faultFrom(error, handle.ref));
  }

  /** Counts what came in; ends a connection that floods. */
  private counts(connection: Connection): boolean {
    if (connection.closed) return false;
    const { floodCommands, floodSeconds } = this.timings;
    const second = Math.floor(Date.now() / 1000);
    if (second !== connection.second) {
      const follows = second === connection.second + 1;
      connection.floodedSeconds =
        follows && connection.commandsInSecond > floodCommands ? connection.floodedSeconds + 1 : 0;
      connection.second = second;
      connection.commandsInSecond = 0;
    }
    connection.commandsInSecond++;
    if (connection.floodedSeconds < floodSeconds) return true;
    this.metrics.refused.inc({ reason: 'flood' });
    connection.end({
      code: CLOSE.limitExceeded,
      errorCode: 'RATE_LIMIT_EXCEEDED',
      detail: `More than ${floodCommands} commands a second for ${floodSeconds} seconds`,
    });
    return false;
  }
}

/** Whatever was thrown → the error the caller may see. */
export function asApiError(thrown: unknown): ApiError {
  const error = classifyForCaller(thrown);
  return error instanceof ApiError ? error : new ApiError('INTERNAL_ERROR', 'Internal server error', { cause: error });
}

function faultFrom(error: ApiError, ref: unknown): Fault {
  return {
    code: error.code,
    detail: error.message,
    ref,
    errors: error.errors,
    retryAfter: error.retryAfterSeconds,
  };
}

function busy(): ApiError {
  return new ApiError('RATE_LIMIT_EXCEEDED', 'Too many commands of this connection are waiting', {
    retryAfterSeconds: 1,
  });
}
