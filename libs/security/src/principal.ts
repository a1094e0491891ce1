/** Every scope a key can carry; `resource:read` and `resource:write`. */
export const SCOPES = [
  'messages:read',
  'messages:write',
  'rooms:read',
  'rooms:write',
  'users:read',
  'users:write',
  'notifications:read',
  'notifications:write',
  'webhooks:read',
  'webhooks:write',
  'providers:write',
  'clients:write',
] as const;

/** One of {@link SCOPES}. */
export type Scope = (typeof SCOPES)[number];

/** What a user key may do at most: that user's own view. */
export const USER_SCOPES: readonly Scope[] = [
  'messages:read',
  'messages:write',
  'rooms:read',
  'rooms:write',
  'users:read',
  'users:write',
];

/** The Idempotency-Key of a request with what it was asked with. */
export interface IdempotencyIntent {
  key: string;
  /** Method and path. */
  route: string;
  body: unknown;
}

/** Whoever a request acts as. Everything a principal reaches lies in `clientId`. */
export interface Principal {
  kind: 'client' | 'user' | 'anonymous';
  /** Rate limits and idempotency count by this. */
  id: string;
  clientId: string;
  clientName: string;
  /** Set when `kind` is "user". */
  userId: string | undefined;
  keyId: string | undefined;
  /** The one key that carries every scope and may be rotated. */
  isMaster: boolean;
  scopes: ReadonlySet<Scope>;
  idempotency?: IdempotencyIntent;
}
