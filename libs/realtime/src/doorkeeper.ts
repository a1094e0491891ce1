import type { IncomingMessage } from 'node:http';
import { Inject, Injectable } from '@nestjs/common';
import { ApiError, forbidden, unavailable } from '#libs/common';
import { CONFIG, type Config } from '#libs/config';
import { Health } from '#libs/observability';
import {
  addressOf,
  KeyDirectory,
  RateLimits,
  tooMany,
  trustedProxies,
  type OpenKey,
  type TrustedProxies,
} from '#libs/security';
import { Tickets } from './tickets.js';

const BEARER = /^Bearer +([\x21-\x7e]+) *$/i;
/** Parameters people put keys in; a URL ends up in logs and histories. */
const KEY_PARAMETERS = ['token', 'key', 'api_key', 'apikey', 'access_token', 'authorization'];

/** What somebody shows at the door. */
export type Credential = { key: string } | { ticket: string };

/** Checks who wants to connect. Only failures count, against the address they come from. */
@Injectable()
export class Doorkeeper {
  private readonly ownOrigin: string;
  private readonly proxies: TrustedProxies;

  constructor(
    private readonly keys: KeyDirectory,
    private readonly tickets: Tickets,
    private readonly limits: RateLimits,
    private readonly health: Health,
    @Inject(CONFIG) private readonly config: Config,
  ) {
    this.ownOrigin = new URL(config.publicUrl).origin;
    this.proxies = trustedProxies(config);
  }

  /** The key behind a credential; throws the 401, or the 429 after too many failures. */
  async open(credential: Credential, address: string): Promise<OpenKey> {
    try {
      return await ('key' in credential ? this.keys.open(credential.key) : this.tickets.redeem(credential.ticket));
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        const rate = await this.limits.count('authentication', `failed:${address}`);
        if (rate?.exceeded) throw tooMany(rate);
      }
      throw error;
    }
  }

  /** What speaks against the handshake itself: the end of the process, a key in the URL, a page of an origin that is not allowed. */
  refusalOf(request: IncomingMessage): ApiError | undefined {
    if (this.health.stopping) return unavailable('The server is shutting down');
    const { searchParams } = urlOf(request);
    if (KEY_PARAMETERS.some((name) => searchParams.has(name))) {
      return new ApiError(
        'BAD_REQUEST',
        'A key never goes into a URL: use the Authorization header, a first frame or a ticket',
      );
    }
    const { origin } = request.headers;
    if (origin === undefined || this.isAllowed(origin, request.headers.host)) return undefined;
    return forbidden('This origin is not allowed (CORS_ORIGINS)');
  }

  /** Only browsers send an origin. Without CORS_ORIGINS pages of the server's own origin may connect, as with REST. */
  isAllowed(origin: string, host: string | undefined): boolean {
    const { corsOrigins } = this.config;
    if (corsOrigins.includes('*') || corsOrigins.includes(origin) || origin === this.ownOrigin) return true;
    return host !== undefined && URL.canParse(origin) && new URL(origin).host === host;
  }

  /** Where the request comes from, as far as the proxies in front are trusted. */
  addressOf(request: IncomingMessage): string {
    return addressOf(request, this.proxies);
  }
}

/** The bearer of an Authorization header, when there is one. */
export function bearerOf(request: IncomingMessage): string | undefined {
  const { authorization } = request.headers;
  return authorization === undefined ? undefined : (BEARER.exec(authorization)?.[1] ?? '');
}

/** Path and query of a request. */
export function urlOf(request: IncomingMessage): URL {
  const path = request.url ?? '/';
  return URL.canParse(path, 'http://local') ? new URL(path, 'http://local') : new URL('http://local/');
}
