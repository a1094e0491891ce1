import { hash, randomBytes, timingSafeEqual } from 'node:crypto';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const PREFIXES = { client: 'ck_live_', user: 'sk_user_' } as const;
const FORMAT = /^(ck_live|sk_user)_([0-9A-Za-z]{8})_([0-9A-Za-z]{43})$/;

/** A new key: `key` is shown once, `publicId` and `hash` are stored. */
export interface NewKey {
  key: string;
  publicId: string;
  hash: Buffer;
}

function base62(bytes: Buffer, length: number): string {
  let value = BigInt(`0x${bytes.toString('hex')}`);
  let text = '';
  while (text.length < length) {
    text = ALPHABET[Number(value % 62n)]! + text;
    value /= 62n;
  }
  return text;
}

/** SHA-256 of a key: the secret has 256 random bits, so a slow hash would add nothing. */
export function hashKey(key: string): Buffer {
  return hash('sha256', key, 'buffer');
}

/** Makes a key: prefix, 8-character public id, 32 random bytes in base62. */
export function createKey(kind: 'client' | 'user'): NewKey {
  const publicId = base62(randomBytes(16), 8);
  const key = `${PREFIXES[kind]}${publicId}_${base62(randomBytes(32), 43)}`;
  return { key, publicId, hash: hashKey(key) };
}

/** The public id of a well-formed key, else undefined. */
export function publicIdOf(key: string): string | undefined {
  return FORMAT.exec(key)?.[2];
}

/** Constant-time comparison of two SHA-256 hashes. */
export function sameHash(a: Buffer, b: Buffer): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** How a stored key is shown: prefix and public id, never the secret. */
export function keyHint(kind: 'client' | 'user', publicId: string): string {
  return `${PREFIXES[kind]}${publicId}`;
}
