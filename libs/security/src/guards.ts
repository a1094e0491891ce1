import { Inject, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { ApiError, forbidden, NIL_ID } from '#libs/common';
import { CONFIG, type Config } from '#libs/config';
import { KeyDirectory } from './key-directory.js';
import { hashKey, sameHash } from './keys.js';
import type { IdempotencyIntent, Principal } from './principal.js';
import { RateLimits, type RateState } from './rate-limits.js';
import { rulesOf, type RouteRules } from './route-rules.js';

declare module 'fastify' {
  interface FastifyRequest {
    principal?: Principal;
    /** State of the window this request was counted in; becomes the X-RateLimit headers. */
    rate?: RateState;
  }
}

const BEARER = /^Bearer +([\x21-\x7e]+) *$/i;
const PRINTABLE = /^[\x20-\x7e]{1,255}$/;

function bearerOf(request: FastifyRequest): string {
  const header = request.headers.authorization;
  const token = header === undefined ? undefined : BEARER.exec(header)?.[1];
  if (token === undefined) throw new ApiError('INVALID_CREDENTIALS', 'Invalid or missing API key');
  return token;
}

function idempotencyOf(request: FastifyRequest): IdempotencyIntent | undefined {
  const key = request.headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key !== 'string' || !PRINTABLE.test(key)) {
    throw new ApiError('BAD_REQUEST', 'Idempotency-Key must be 1 to 255 printable ASCII characters');
  }
  return { key, route: routeOf(request), body: request.body };
}

/** The route with its ids, the same however the URL was spelt. */
function routeOf({ method, routeOptions, params }: FastifyRequest): string {
  const ids = params as Record<string, string>;
  return `${method} ${routeOptions.url!.replace(/:(\w+)/g, (_, name: string) => ids[name]!.toLowerCase())}`;
}

/** What a call is made on: an HTTP request, or a socket's command, which knows its principal from connecting. */
type Call = Pick<FastifyRequest, 'principal' | 'rate'>;

/** First step: who is calling. Failures count against the caller's address. */
@Injectable()
export class KeyStep {
  constructor(
    private readonly keys: KeyDirectory,
    private readonly limits: RateLimits,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  take(request: FastifyRequest, rules: RouteRules, context: ExecutionContext): undefined | Promise<undefined> {
    try {
      const principal = rules.isPublic ? this.anonymous(request, context) : this.keys.verify(bearerOf(request));
      if (principal instanceof Promise) {
        return principal.then(
          (found) => this.admit(request, found, rules.idempotent),
          (error: unknown) => this.refuse(request, error),
        );
      }
      return this.admit(request, principal, rules.idempotent);
    } catch (error) {
      return this.refuse(request, error);
    }
  }

  private admit(request: FastifyRequest, principal: Principal, idempotent: boolean): undefined {
    const idempotency = idempotent ? idempotencyOf(request) : undefined;
    request.principal = idempotency ? { ...principal, idempotency } : principal;
  }

  private anonymous(request: FastifyRequest, context: ExecutionContext): Principal {
    const token = this.config.registrationToken;
    if (
      token !== undefined &&
      context.getHandler().name === 'register' &&
      !sameHash(hashKey(bearerOf(request)), hashKey(token))
    ) {
      throw new ApiError('INVALID_CREDENTIALS', 'Registration needs the registration token');
    }
    return {
      kind: 'anonymous',
      id: `ip:${request.ip}`,
      clientId: NIL_ID,
      clientName: '',
      userId: undefined,
      keyId: undefined,
      isMaster: false,
      scopes: new Set(),
    };
  }

  private async refuse(request: FastifyRequest, error: unknown): Promise<never> {
    if (error instanceof ApiError && error.status === 401) {
      const rate = await this.limits.count('authentication', `failed:${request.ip}`);
      if (rate) request.rate = rate;
      if (rate?.exceeded) throw tooMany(rate);
    }
    throw error;
  }
}

/** Second step: may this kind of key do it; answers why not. Default deny. */
function refusalOf({ principal }: Call, rules: RouteRules): ApiError | undefined {
  if (rules.isPublic) return undefined;
  if (!principal || rules.scopes.length === 0) return forbidden('This operation is not open to API keys');
  if (rules.masterOnly && principal.kind !== 'client')
    return forbidden('This operation needs a client key (ck_live_…)');
  const lacking = rules.scopes.find((scope) => !principal.scopes.has(scope));
  return lacking && forbidden(`This key lacks the scope ${lacking}`);
}

/**
 * The one guard, with its steps in one order for every route: key, scopes, rate limit. One and not three, and in the
 * same tick where key and window are in memory: every guard and every promise on the way costs each request.
 */
@Injectable()
export class AdmissionGuard implements CanActivate {
  constructor(
    private readonly key: KeyStep,
    private readonly limits: RateLimits,
  ) {}

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const rules = rulesOf(context.getClass(), context.getHandler());
    if (context.getType() === 'ws') return this.afterKey(context.switchToWs().getData<Call>(), rules);
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    const known = this.key.take(request, rules, context);
    return known ? known.then(() => this.afterKey(request, rules)) : this.afterKey(request, rules);
  }

  private afterKey(call: Call, rules: RouteRules): boolean | Promise<boolean> {
    const refusal = refusalOf(call, rules);
    if (rules.family === 'none' || !call.principal) {
      if (refusal) throw refusal;
      return true;
    }
    // What a key may not do is counted like everything else, and refused as that whatever the count.
    const rate = this.limits.count(rules.family, call.principal.id);
    return rate instanceof Promise
      ? rate.then((counted) => within(call, counted, refusal))
      : within(call, rate, refusal);
  }
}

/** Third step: how often. */
function within(call: Call, rate: RateState | undefined, refusal: ApiError | undefined): true {
  if (rate) call.rate = rate;
  if (refusal) throw refusal;
  if (rate?.exceeded) throw tooMany(rate);
  return true;
}

/** 429 that says when to come back. */
export function tooMany(rate: RateState): ApiError {
  const retryAfterSeconds = Math.max(1, rate.resetAt - Math.floor(Date.now() / 1000));
  return new ApiError('RATE_LIMIT_EXCEEDED', 'Too many requests', { retryAfterSeconds });
}
