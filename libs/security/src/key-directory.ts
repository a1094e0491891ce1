import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { ApiError } from '#libs/common';
import { Database, PgListener, type Tx } from '#libs/database';
import { hashKey, publicIdOf, sameHash } from './keys.js';
import type { Principal, Scope } from './principal.js';

const CHANNEL = 'chatapi_keys';
const MAX_ENTRIES = 10_000;
const MAX_AGE_MS = 60_000;
const TOUCH_EVERY_MS = 60_000;
const TOUCH_FLUSH_MS = 1_000;

interface Entry {
  hash: Buffer;
  principal: Principal;
  expiresAt: number | undefined;
  /** By the clock that nobody sets. */
  readAt: number;
  touchedAt: number;
}

interface KeyRow {
  client_id: string;
  client_name: string;
  id: string;
  kind: 'client' | 'user';
  hash: Buffer;
  is_master: boolean;
  user_id: string | null;
  scopes: Scope[];
  expires_at: Date | null;
  last_used_at: Date | null;
}

const KEY_COLUMNS = `k.client_id, c.name AS client_name, k.id, k.kind, k.hash, k.is_master, k.user_id, k.scopes, k.expires_at,
  k.last_used_at`;

/** Which keys a revocation is about. */
export type Revoked = { publicId: string } | { clientId: string; userId: string } | { clientId: string };

/** A key as something long-lived was opened with it. */
export interface OpenKey {
  principal: Principal;
  publicId: string;
  /** Unix milliseconds; undefined: it does not end by itself. */
  expiresAt: number | undefined;
}

function unknownKey(): ApiError {
  return new ApiError('INVALID_CREDENTIALS', 'Invalid or missing API key');
}

/**
 * Answers who a key belongs to, from memory where it can (≤ 10,000 entries, ≤ 60 s). Revocations reach every process
 * through NOTIFY; while this process cannot hear them it does not use its memory at all.
 */
@Injectable()
export class KeyDirectory implements OnModuleInit, OnApplicationShutdown {
  private readonly entries = new Map<string, Entry>();
  private readonly listener: PgListener;
  private readonly touched = new Map<
    string,
    { clientId: string; keyId: string; userId: string | undefined; at: Date }
  >();
  private touchTimer: NodeJS.Timeout | undefined;
  /** Counts revocations: a look-up that overlaps one is not remembered. */
  private version = 0;
  private readonly forgetListeners: ((what: Revoked | undefined) => void)[] = [];

  constructor(private readonly database: Database) {
    this.listener = new PgListener(database.url, CHANNEL, {
      onMessage: (payload) => this.forget(JSON.parse(payload) as Revoked),
      onChange: () => this.forgetAll(),
    });
  }

  async onModuleInit(): Promise<void> {
    await this.listener.start();
    this.touchTimer = setInterval(() => void this.flushTouched(), TOUCH_FLUSH_MS).unref();
  }

  async onApplicationShutdown(): Promise<void> {
    clearInterval(this.touchTimer);
    await this.listener.stop();
    await this.flushTouched();
  }

  /** The principal of a key; throws INVALID_CREDENTIALS or KEY_EXPIRED. Synchronous when the answer is in memory. */
  verify(key: string): Principal | Promise<Principal> {
    const publicId = publicIdOf(key);
    if (publicId === undefined) throw unknownKey();
    const now = Date.now();
    const entry = this.entries.get(publicId);
    if (entry && this.listener.live && performance.now() - entry.readAt < MAX_AGE_MS)
      return this.admit(entry, key, now);
    return this.lookUp(publicId, key).then((found) => found.principal);
  }

  /** As {@link verify}, for what stays open: with what is needed to notice the key's end. */
  async open(key: string): Promise<OpenKey> {
    const publicId = publicIdOf(key);
    if (publicId === undefined) throw unknownKey();
    // Read now: what a memory of up to a minute ago says of the expiry may be outdated.
    const { principal, expiresAt } = await this.lookUp(publicId, key);
    return { principal, publicId, expiresAt };
  }

  /** Those of a tenant's keys that are good now, by key id. */
  async reopen(clientId: string, keyIds: string[]): Promise<Map<string, OpenKey>> {
    const rows = await this.database.query<KeyRow & { public_id: string }>(
      `SELECT k.public_id, ${KEY_COLUMNS} FROM api_keys k JOIN clients c ON c.id = k.client_id
       WHERE k.client_id = $1 AND k.id = ANY($2::uuid[]) AND k.revoked_at IS NULL AND c.is_active
         AND (k.expires_at IS NULL OR k.expires_at > now())`,
      [clientId, keyIds],
    );
    return new Map(
      rows.map((row) => {
        const { principal, expiresAt } = toEntry(row);
        return [row.id, { principal, publicId: row.public_id, expiresAt }];
      }),
    );
  }

  /**
   * Hears what may have ended, in every process: keys, or undefined when revocations may have been missed. It also
   * fires when only what a key shows has changed, so look before you close.
   */
  onForget(listener: (what: Revoked | undefined) => void): void {
    this.forgetListeners.push(listener);
  }

  /** Announces a revocation in its own transaction; here it takes effect with the commit, elsewhere within 1 s. */
  async revoked(tx: Tx, what: Revoked): Promise<void> {
    await tx.query('SELECT pg_notify($1, $2)', [CHANNEL, JSON.stringify(what)]);
    tx.afterCommit(() => this.forget(what));
  }

  private async lookUp(publicId: string, key: string): Promise<Entry> {
    const { version } = this;
    const [row] = await this.database.query<KeyRow>(
      `SELECT ${KEY_COLUMNS} FROM api_keys k JOIN clients c ON c.id = k.client_id
       WHERE k.public_id = $1 AND k.revoked_at IS NULL AND c.is_active`,
      [publicId],
    );
    if (!row) throw unknownKey();
    const entry = toEntry(row);
    const known = this.entries.get(publicId);
    // Sockets of one key share one principal.
    if (known && isSame(known.principal, entry.principal)) entry.principal = known.principal;
    this.admit(entry, key, Date.now());
    if (version === this.version) this.remember(publicId, entry);
    return entry;
  }

  private admit(entry: Entry, key: string, now: number): Principal {
    if (!sameHash(entry.hash, hashKey(key))) throw unknownKey();
    if (entry.expiresAt !== undefined && entry.expiresAt <= now)
      throw new ApiError('KEY_EXPIRED', 'The API key has expired');
    if (now - entry.touchedAt >= TOUCH_EVERY_MS) {
      entry.touchedAt = now;
      const { clientId, keyId, userId } = entry.principal;
      this.touched.set(keyId!, { clientId, keyId: keyId!, userId, at: new Date(now) });
    }
    return entry.principal;
  }

  private remember(publicId: string, entry: Entry): void {
    this.entries.delete(publicId);
    this.entries.set(publicId, entry);
    if (this.entries.size > MAX_ENTRIES) this.entries.delete(this.entries.keys().next().value!);
  }

  private forget(what: Revoked): void {
    this.version++;
    if ('publicId' in what) this.entries.delete(what.publicId);
    else this.forgetAllOf(what);
    for (const listener of this.forgetListeners) listener(what);
  }

  private forgetAllOf(what: { clientId: string; userId?: string }): void {
    for (const [publicId, { principal }] of this.entries) {
      if (principal.clientId !== what.clientId) continue;
      if (what.userId === undefined || principal.userId === what.userId) this.entries.delete(publicId);
    }
  }

  private forgetAll(): void {
    this.version++;
    this.entries.clear();
    for (const listener of this.forgetListeners) listener(undefined);
  }

  /** Writes last_used_at and last_seen_at of the keys used lately, many in one statement; losing one is harmless. */
  private async flushTouched(): Promise<void> {
    if (this.touched.size === 0) return;
    const batch = [...this.touched.values()];
    this.touched.clear();
    const clientIds = batch.map((t) => t.clientId);
    await this.database
      .query(
        `WITH used AS (
           UPDATE api_keys k SET last_used_at = greatest(k.last_used_at, t.at)
           FROM unnest($1::uuid[], $2::uuid[], $4::timestamptz[]) AS t (client_id, id, at)
           WHERE k.client_id = t.client_id AND k.id = t.id
         )
         UPDATE users u SET last_seen_at = greatest(u.last_seen_at, t.at)
         FROM unnest($1::uuid[], $3::uuid[], $4::timestamptz[]) AS t (client_id, id, at)
         WHERE u.client_id = t.client_id AND u.id = t.id AND u.deleted_at IS NULL`,
        [clientIds, batch.map((t) => t.keyId), batch.map((t) => t.userId ?? null), batch.map((t) => t.at)],
      )
      .catch(() => undefined);
  }
}

function isSame(a: Principal, b: Principal): boolean {
  return a.keyId === b.keyId && a.clientName === b.clientName && a.scopes === b.scopes && a.isMaster === b.isMaster;
}

const scopeSets = new Map<string, ReadonlySet<Scope>>();

/** One set for all keys with the same scopes: there are few kinds of keys and many keys. */
function scopeSet(scopes: Scope[]): ReadonlySet<Scope> {
  const name = scopes.join(' ');
  let set = scopeSets.get(name);
  if (!set) {
    set = new Set(scopes);
    if (scopeSets.size < 1_000) scopeSets.set(name, set);
  }
  return set;
}

/** What the driver answers is a slice of 8 KiB, all of which would stay as long as the slice. */
function ownCopy(slice: Buffer): Buffer {
  const copy = Buffer.alloc(slice.length);
  slice.copy(copy);
  return copy;
}

function toEntry(row: KeyRow): Entry {
  const principal: Principal = Object.freeze({
    kind: row.kind,
    id: row.user_id ? `user:${row.user_id}` : `client:${row.client_id}`,
    clientId: row.client_id,
    clientName: row.client_name,
    userId: row.user_id ?? undefined,
    keyId: row.id,
    isMaster: row.is_master,
    scopes: scopeSet(row.scopes),
  });
  return {
    hash: ownCopy(row.hash),
    principal,
    expiresAt: row.expires_at?.getTime(),
    readAt: performance.now(),
    touchedAt: row.last_used_at?.getTime() ?? 0,
  };
}
