import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import type { EgressResponse } from './egress.js';

/** How an exchange is to end. */
export interface ExchangeLimits {
  maxResponseBytes: number;
  /** Once the status is there, what breaks or comes too late is cut off instead of a failure. */
  statusDecides: boolean;
}

/**
 * One request and its answer, of which no more than the limit is kept: with it reached, the connection is ended, so the
 * rest is never received. Handles what undici tells of them, without a stream in between.
 */
export class HttpExchange implements Dispatcher.DispatchHandler {
  /** Rejects with whatever undici says, or the reason of {@link cutOff}. */
  readonly answered: Promise<EgressResponse>;
  private readonly started = performance.now();
  private resolve!: (response: EgressResponse) => void;
  private reject!: (error: Error) => void;
  private controller: Dispatcher.DispatchController | undefined;
  private over: Error | undefined;
  private status = 0;
  private headers: IncomingHttpHeaders = {};
  private readonly parts: Buffer[] = [];
  private size = 0;

  constructor(private readonly limits: ExchangeLimits) {
    this.answered = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  /** Ends it now. One that still waits for its connection will then send nothing. */
  cutOff(reason: Error): void {
    if (this.over) return;
    this.fail(reason);
    this.over = reason;
    this.controller?.abort(reason);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller;
    if (this.over) controller.abort(this.over);
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    // 1xx come before the answer.
    if (status < 200) return;
    this.status = status;
    this.headers = headers;
  }

  onResponseData(_: Dispatcher.DispatchController, part: Buffer): void {
    if (this.over) return;
    const rest = this.limits.maxResponseBytes - this.size;
    // A copy: a slice would hold on to all that was received with it.
    this.parts.push(Buffer.from(part.subarray(0, rest)));
    this.size += Math.min(part.length, rest);
    if (part.length <= rest) return;
    this.finish(true);
    this.over = new Error('The answer is longer than what is read of it');
    this.controller!.abort(this.over);
  }

  onResponseEnd(): void {
    this.finish(false);
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    if (!this.over) this.fail(error);
  }

  private fail(error: Error): void {
    if (this.status > 0 && this.limits.statusDecides) this.finish(true);
    else this.reject(error);
  }

  private finish(truncated: boolean): void {
    this.resolve({
      status: this.status,
      headers: flat(this.headers),
      body: Buffer.concat(this.parts),
      truncated,
      timeMs: Math.round(performance.now() - this.started),
    });
  }
}

function flat(headers: IncomingHttpHeaders): Record<string, string> {
  // As properties of its own, whatever their names: assigned, `__proto__` would be lost.
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')]),
  );
}
