/** Why a target was not, or could not be, reached. */
export type EgressFault =
  /** The URL itself is not allowed: scheme, credentials, plain http in production. */
  | 'EGRESS_URL_REFUSED'
  /** An address behind the name is private, loopback, metadata and the like. */
  | 'EGRESS_ADDRESS_REFUSED'
  /** The name does not resolve. */
  | 'EGRESS_DNS'
  | 'EGRESS_CONNECT'
  | 'EGRESS_TLS'
  | 'EGRESS_TIMEOUT'
  /** The connection broke, or what came back is not HTTP. */
  | 'EGRESS_BROKEN';

/** Thrown by everything in egress. The message names no address and no secret. */
export class EgressError extends Error {
  constructor(
    readonly fault: EgressFault,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}

/** A checked address of a host. */
export interface PinnedAddress {
  host: string;
  address: string;
  family: 4 | 6;
}

/** Checks targets; injection token and interface in one. */
export abstract class EgressGuard {
  /** Checks a URL by its form alone (scheme, credentials, literal addresses); throws {@link EgressError}. */
  abstract checkUrl(url: string): URL;
  /** Resolves a host and checks every address of it; throws unless all may be reached. */
  abstract resolve(host: string): Promise<PinnedAddress[]>;
  /** Form and addresses of a URL, as a request to it would be checked; for targets that are about to be stored. */
  abstract check(url: string): Promise<PinnedAddress[]>;
}

/** A request that leaves. */
export interface EgressRequest {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  url: string;
  headers: Record<string, string>;
  body?: string | Buffer;
  timeoutMs: number;
  /** Bytes of the answer that are read; the rest is cut off. */
  maxResponseBytes: number;
  /** Once the status is there, a body that breaks or does not end in time is cut off instead of a failure. */
  statusDecides?: boolean;
  signal?: AbortSignal;
}

/** What was answered. Redirects are answers: they are never followed. */
export interface EgressResponse {
  status: number;
  headers: Record<string, string>;
  body: Buffer;
  /** Whether more was answered than was read. */
  truncated: boolean;
  /** Milliseconds from the call to the last byte read. */
  timeMs: number;
}

/** Guarded HTTP over kept connections; injection token and interface in one. */
export abstract class EgressHttp {
  /** Sends; throws {@link EgressError}. Every status is an answer. */
  abstract request(request: EgressRequest): Promise<EgressResponse>;
}
