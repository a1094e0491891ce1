import type { LookupFunction, Socket } from 'node:net';
import { Agent, buildConnector, type Dispatcher } from 'undici';
import { EgressHttp, type EgressRequest, type EgressResponse } from './egress.js';
import { egressError } from './egress-faults.js';
import type { ResolvingGuard } from './resolving-guard.js';

const CONNECT_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 4_000;
const KEEP_ALIVE_MAX_MS = 30_000;

/**
 * HTTP by undici, with the look-up of each new connection answered by the guard: the address that was checked is the
 * address that is connected to, so a name that changes in between gains nothing. A kept connection stays with the
 * address it was checked for.
 */
export class PinnedHttp extends EgressHttp {
  private readonly agent: Agent;
  private readonly sockets = new Set<Socket>();

  /** `ca`: trusted beside nothing else, for tests. */
  constructor(
    private readonly guard: ResolvingGuard,
    tls: { ca?: string } = {},
  ) {
    super();
    const connectors = {
      'http:': buildConnector({ lookup: this.lookup('http:'), timeout: CONNECT_TIMEOUT_MS, autoSelectFamily: true }),
      'https:': buildConnector({
        ...tls,
        lookup: this.lookup('https:'),
        timeout: CONNECT_TIMEOUT_MS,
        autoSelectFamily: true,
      }),
    };
    this.agent = new Agent({
      connect: (options, callback) => {
        const connect = connectors[options.protocol as 'http:' | 'https:'];
        this.track(connect(options, callback) as unknown as Socket);
      },
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MAX_MS,
      pipelining: 1,
    });
  }

  async request(request: EgressRequest): Promise<EgressResponse> {
    const url = this.guard.checkUrl(request.url);
    const started = performance.now();
    const timeout = AbortSignal.timeout(request.timeoutMs);
    const signal = request.signal ? AbortSignal.any([timeout, request.signal]) : timeout;
    try {
      const answer = await cutOffBy(signal, this.send(url, request, signal));
      const { statusCode: status, headers } = answer;
      const read = request.statusDecides
        ? await readUpTo(answer.body, request.maxResponseBytes, true)
        : await cutOffBy(signal, readUpTo(answer.body, request.maxResponseBytes, false));
      return { status, headers: flat(headers), ...read, timeMs: Math.round(performance.now() - started) };
    } catch (error) {
      throw egressError(error);
    }
  }

  private send(url: URL, request: EgressRequest, signal: AbortSignal): Promise<Dispatcher.ResponseData> {
    return this.agent.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method: request.method,
      headers: request.headers,
      body: request.body ?? null,
      signal,
      // One clock over the whole exchange, so that a byte a second does not hold it open.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
  }

  /** Cuts every connection. */
  async close(): Promise<void> {
    const closed = this.agent.destroy();
    // undici would wait for those that are still being made.
    for (const socket of this.sockets) socket.destroy(new Error('Closed'));
    await closed;
  }

  private track(socket: Socket): void {
    this.sockets.add(socket);
    socket.once('close', () => this.sockets.delete(socket));
  }

  private lookup(protocol: string): LookupFunction {
    return (host, options, callback) => {
      this.guard.addressesOf(protocol, host).then(
        (addresses) => {
          if (options.all)
            callback(
              null,
              addresses.map(({ address, family }) => ({ address, family })),
            );
          else callback(null, addresses[0]!.address, addresses[0]!.family);
        },
        (error: NodeJS.ErrnoException) => callback(error, '', 0),
      );
    };
  }
}

/** The work, or the signal's reason. undici heeds a signal only once it is connected; then it sends nothing. */
async function cutOffBy<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  let cutOff = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    cutOff = () => reject(signal.reason as Error);
    if (signal.aborted) cutOff();
    else signal.addEventListener('abort', cutOff);
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', cutOff);
  }
}

/**
 * Reads the first `max` bytes; leaving the loop early ends the connection, so the rest is never received. `lenient`: what
 * breaks or comes too late is cut off as well.
 */
async function readUpTo(
  body: Dispatcher.ResponseData['body'],
  max: number,
  lenient: boolean,
): Promise<{ body: Buffer; truncated: boolean }> {
  const parts: Buffer[] = [];
  let size = 0;
  try {
    for await (const part of body as AsyncIterable<Buffer>) {
      const rest = max - size;
      if (part.length > rest) {
        parts.push(part.subarray(0, rest));
        return { body: Buffer.concat(parts), truncated: true };
      }
      parts.push(part);
      size += part.length;
    }
  } catch (error) {
    if (!lenient) throw error;
    return { body: Buffer.concat(parts), truncated: true };
  }
  return { body: Buffer.concat(parts), truncated: false };
}

function flat(headers: Record<string, string | string[] | undefined>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')]),
  );
}
