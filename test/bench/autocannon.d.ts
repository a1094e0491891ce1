/** What of autocannon the load generator uses; the package brings no types. */
declare module 'autocannon' {
  import type { EventEmitter } from 'node:events';

  export interface Request {
    method?: string;
    path?: string;
    headers?: Record<string, string>;
    body?: string;
  }

  export interface Client {
    setRequests(requests: Request[]): void;
  }

  export interface Options {
    url: string;
    connections: number;
    pipelining: number;
    /** Seconds. */
    duration?: number;
    /** Requests in all; goes before `duration`. */
    amount?: number;
    /** Milliseconds between looks at whether to stop. */
    sampleInt: number;
    /** Seconds. */
    timeout: number;
    setupClient(client: Client): void;
  }

  export interface Result {
    errors: number;
    timeouts: number;
  }

  export interface Run extends EventEmitter, PromiseLike<Result> {
    stop(): void;
    on(event: 'response', listener: (client: Client, status: number, bytes: number, durationMs: number) => void): this;
  }

  export default function autocannon(options: Options): Run;
}
