import { applyDecorators, createParamDecorator, SetMetadata, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { Scope } from './principal.js';
import type { Principal } from './principal.js';

/** Rate limit families; every route counts in one. */
export type LimitFamily = 'authentication' | 'messages' | 'notifications' | 'default';

/** What the guards know of a route. */
export interface RouteRules {
  isPublic: boolean;
  scopes: readonly Scope[];
  masterOnly: boolean;
  /** "none": what a reconnecting client needs is not counted. */
  family: LimitFamily | 'none';
  idempotent: boolean;
}

const KEYS = {
  public: 'chatapi:public',
  scopes: 'chatapi:scopes',
  family: 'chatapi:family',
  idempotent: 'chatapi:idempotent',
};

interface ScopeRule {
  scopes: Scope[];
  masterOnly: boolean;
}

/** No key needed. Every such route stands on a written list that a test checks. */
export const Public = (): MethodDecorator & ClassDecorator => SetMetadata(KEYS.public, true);

/** The scope a key needs for this route. */
export const Scopes = (...scopes: Scope[]): MethodDecorator => SetMetadata(KEYS.scopes, { scopes, masterOnly: false });

/** The scope, and the key must be the client's own: a user key gets 403. */
export const ClientScopes = (...scopes: Scope[]): MethodDecorator =>
  SetMetadata(KEYS.scopes, { scopes, masterOnly: true });

/** The rate limit family of a controller or route, when it is not "default". */
export const Limit = (family: LimitFamily | 'none'): MethodDecorator & ClassDecorator =>
  SetMetadata(KEYS.family, family);

/** The route creates and takes an Idempotency-Key. */
export const Idempotent = (): MethodDecorator => applyDecorators(SetMetadata(KEYS.idempotent, true));

/** The principal of the request, or of the socket a command came by. */
export const Caller = createParamDecorator((_data: unknown, context: ExecutionContext): Principal | undefined => {
  if (context.getType() === 'ws') return context.switchToWs().getData<{ principal?: Principal }>().principal;
  return context.switchToHttp().getRequest<FastifyRequest>().principal;
});

type Target = abstract new (...args: never[]) => unknown;
const known = new WeakMap<object, RouteRules>();

/** The rules of a handler, read once. A route without rules has an unsatisfiable one: default deny. */
export function rulesOf(controller: Target, handler: object): RouteRules {
  let rules = known.get(handler);
  if (!rules) {
    const read = <T>(key: string): T | undefined =>
      (Reflect.getMetadata(key, handler) ?? Reflect.getMetadata(key, controller)) as T | undefined;
    const scope = read<ScopeRule>(KEYS.scopes);
    rules = {
      isPublic: read<boolean>(KEYS.public) ?? false,
      scopes: scope?.scopes ?? [],
      masterOnly: scope?.masterOnly ?? false,
      family: read<LimitFamily | 'none'>(KEYS.family) ?? 'default',
      idempotent: read<boolean>(KEYS.idempotent) ?? false,
    };
    known.set(handler, rules);
  }
  return rules;
}
