import type { LoggerService } from '@nestjs/common';
import { destination, pino, type Logger } from 'pino';

/** Makes the JSON logger. Writes are buffered briefly; errors flush at once. */
export function createLogger(level: string): Logger {
  return pino({ level, base: undefined, timestamp: pino.stdTimeFunctions.isoTime }, destination({ sync: true }));
}

/** Nest's own messages through pino. */
export class NestLogger implements LoggerService {
  constructor(private readonly logger: Logger) {}

  log(message: unknown, context?: string): void {
    this.logger.debug({ context }, String(message));
  }

  warn(message: unknown, context?: string): void {
    this.logger.warn({ context }, String(message));
  }

  error(message: unknown, ...rest: unknown[]): void {
    this.logger.error({ context: rest.at(-1) }, String(message));
  }

  debug(message: unknown, context?: string): void {
    this.logger.trace({ context }, String(message));
  }
}

/** What may be logged of a failure: name, code and stack frames. Messages of database errors can hold row values. */
export function faultOf(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { type: typeof error };
  const { code, routine, constraint, table } = error as Error & Record<string, unknown>;
  const frames = error.stack
    ?.split('\n')
    .filter((line) => line.startsWith('    at '))
    .slice(0, 12)
    .join('\n');
  const fault: Record<string, unknown> = { type: error.name, code, routine, constraint, table, stack: frames };
  // A database error's message may quote values; one of ours or of the runtime does not.
  if (routine === undefined) fault['message'] = error.message;
  if (error.cause !== undefined) fault['cause'] = faultOf(error.cause);
  return fault;
}

/** Injection token of the pino logger. */
export const LOGGER = Symbol('Logger');
