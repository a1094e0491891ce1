import type { LookupFunction, Socket } from 'node:net';
import { Agent, buildConnector } from 'undici';
import { EgressHttp, type EgressRequest, type EgressResponse } from './egress.js';
import { egressError, timedOut } from './egress-faults.js';
import { HttpExchange } from './http-exchange.js';
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
    const { maxResponseBytes, statusDecides = false, signal } = request;
    const exchange = new HttpExchange({ maxResponseBytes, statusDecides });
    const cutOff = (): void => exchange.cutOff(signal!.reason as Error);
    // One clock over the whole exchange, so that a byte a second does not hold it open.
    const timer = setTimeout(() => exchange.cutOff(timedOut()), request.timeoutMs);
    signal?.addEventListener('abort', cutOff);
    try {
      if (signal?.aborted) cutOff();
      else this.send(url, request, exchange);
      return await exchange.answered;
    } catch (error) {
      throw egressError(error);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', cutOff);
    }
  }

  private send(url: URL, request: EgressRequest, exchange: HttpExchange): void {
    const { method, headers, body = null } = request;
    const options = { origin: url.origin, path: url.pathname + url.search, method, headers, body };
    this.agent.dispatch({ ...options, headersTimeout: 0, bodyTimeout: 0 }, exchange);
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
