import { Inject, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { ApiError, forbidden, NIL_ID } from '#libs/common';
import { CONFIG, type Config } from '#libs/config';
import { KeyDirectory } from './key-directory.js';
import { hashKey, sameHash } from './keys.js';
import type { IdempotencyIntent, Principal } from './principal.js';
import { RateLimits, type RateState } from './rate-limits.js';
import { rulesOf } from './route-rules.js';

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
  return { key, route: `${request.method} ${request.url.split('?', 1)[0]!.replace(/\/$/, '')}`, body: request.body };
}

/** What a call is made on: an HTTP request, or a socket's command, which knows its principal from connecting. */
type Call = Pick<FastifyRequest, 'principal' | 'rate'>;

function callOf(context: ExecutionContext): Call {
  return context.getType() === 'ws' ? context.switchToWs().getData<Call>() : context.switchToHttp().getRequest<Call>();
}

/** First guard: who is calling. Failures count against the caller's address. */
@Injectable()
export class KeyGuard implements CanActivate {
  constructor(
    private readonly keys: KeyDirectory,
    private readonly limits: RateLimits,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    if (context.getType() === 'ws') return callOf(context).principal !== undefined;
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    const rules = rulesOf(context.getClass(), context.getHandler());
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

  private admit(request: FastifyRequest, principal: Principal, idempotent: boolean): boolean {
    const idempotency = idempotent ? idempotencyOf(request) : undefined;
    request.principal = idempotency ? { ...principal, idempotency } : principal;
    return true;
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

/** Second guard: may this kind of key do it. Default deny. */
@Injectable()
export class ScopeGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const rules = rulesOf(context.getClass(), context.getHandler());
    if (rules.isPublic) return true;
    const { principal } = callOf(context);
    if (!principal || rules.scopes.length === 0) throw forbidden('This operation is not open to API keys');
    if (rules.masterOnly && principal.kind !== 'client')
      throw forbidden('This operation needs a client key (ck_live_…)');
    for (const scope of rules.scopes) {
      if (!principal.scopes.has(scope)) throw forbidden(`This key lacks the scope ${scope}`);
    }
    return true;
  }
}

/** Third guard: how often. */
@Injectable()
export class RateLimitGuard implements CanActivate {
  constructor(private readonly limits: RateLimits) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const { family } = rulesOf(context.getClass(), context.getHandler());
    if (family === 'none') return true;
    const call = callOf(context);
    const rate = await this.limits.count(family, call.principal!.id);
    if (rate) call.rate = rate;
    if (rate?.exceeded) throw tooMany(rate);
    return true;
  }
}

/** 429 that says when to come back. */
export function tooMany(rate: RateState): ApiError {
  const retryAfterSeconds = Math.max(1, rate.resetAt - Math.floor(Date.now() / 1000));
  return new ApiError('RATE_LIMIT_EXCEEDED', 'Too many requests', { retryAfterSeconds });
}
