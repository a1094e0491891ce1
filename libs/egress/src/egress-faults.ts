import { EgressError, type EgressFault } from './egress.js';

const WORDS: Record<'EGRESS_DNS' | 'EGRESS_CONNECT' | 'EGRESS_TLS' | 'EGRESS_TIMEOUT' | 'EGRESS_BROKEN', string> = {
  EGRESS_DNS: 'The host name does not resolve',
  EGRESS_CONNECT: 'The target does not take connections',
  EGRESS_TLS: 'The TLS connection to the target could not be made',
  EGRESS_TIMEOUT: 'The target did not answer in time',
  EGRESS_BROKEN: 'The connection broke or the answer is not HTTP',
};

const CONNECT = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'EHOSTDOWN',
  'EACCES',
  'EPERM',
]);
const TIMEOUT = new Set([
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'ABORT_ERR',
  'UND_ERR_ABORTED',
]);
const DNS = new Set(['ENOTFOUND', 'EAI_AGAIN', 'ENODATA', 'ESERVFAIL']);
/** OpenSSL's verdicts on certificates and Node's own. */
const TLS =
  /^(ERR_TLS_|ERR_SSL_|CERT_|EPROTO$|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH)/;

/** The errors inside an error, outermost first. */
function* unwrapped(error: unknown): Generator<Error & { code?: unknown }> {
  const waiting: unknown[] = [error];
  for (let seen = 0; waiting.length > 0 && seen < 20; seen++) {
    const next = waiting.shift();
    if (!(next instanceof Error)) continue;
    yield next;
    if (next instanceof AggregateError) waiting.push(...(next.errors as unknown[]));
    waiting.push(next.cause);
  }
}

function faultOf(error: Error & { code?: unknown }): EgressFault | undefined {
  const code = typeof error.code === 'string' ? error.code : '';
  if (error.name === 'TimeoutError' || error.name === 'AbortError' || TIMEOUT.has(code)) return 'EGRESS_TIMEOUT';
  if (DNS.has(code)) return 'EGRESS_DNS';
  if (CONNECT.has(code)) return 'EGRESS_CONNECT';
  if (TLS.test(code) || /secure TLS connection/.test(error.message)) return 'EGRESS_TLS';
  return undefined;
}

/** Any failure of an outgoing call as an {@link EgressError}, in words that name neither address nor content. */
export function egressError(error: unknown): EgressError {
  for (const inner of unwrapped(error)) if (inner instanceof EgressError) return inner;
  for (const inner of unwrapped(error)) {
    const fault = faultOf(inner) as keyof typeof WORDS | undefined;
    if (fault) return new EgressError(fault, WORDS[fault], { cause: error });
  }
  return new EgressError('EGRESS_BROKEN', WORDS.EGRESS_BROKEN, { cause: error });
}

/** The target took longer than it was given. */
export function timedOut(): EgressError {
  return new EgressError('EGRESS_TIMEOUT', WORDS.EGRESS_TIMEOUT);
}
