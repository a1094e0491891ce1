import { randomFillSync } from 'node:crypto';

const pool = Buffer.allocUnsafe(10 * 256);
let poolOffset = pool.length;
let lastMs = 0;
let counter = 0;

function random10(): Buffer {
  if (poolOffset >= pool.length) {
    randomFillSync(pool);
    poolOffset = 0;
  }
  const slice = pool.subarray(poolOffset, poolOffset + 10);
  poolOffset += 10;
  return slice;
}

/**
 * A UUIDv7 (RFC 9562, method 1): 48 bits of Unix milliseconds, then a 12-bit counter seeded at random each
 * millisecond, then 62 random bits. Ids made by one process are strictly increasing.
 */
export function newId(nowMs = Date.now()): string {
  const bytes = random10();
  if (nowMs > lastMs) {
    lastMs = nowMs;
    counter = ((bytes[0]! << 8) | bytes[1]!) & 0x7ff;
  } else if (++counter > 0xfff) {
    lastMs += 1;
    counter = ((bytes[0]! << 8) | bytes[1]!) & 0x7ff;
  }
  const time = lastMs.toString(16).padStart(12, '0');
  const tail = bytes.toString('hex', 2);
  const variant = ((bytes[2]! & 0x3f) | 0x80).toString(16);
  return (
    `${time.slice(0, 8)}-${time.slice(8)}-7${counter.toString(16).padStart(3, '0')}-` +
    `${variant}${tail.slice(2, 4)}-${tail.slice(4)}`
  );
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Whether the text is a UUID in its canonical form, of any version. */
export function isUuid(text: unknown): text is string {
  return typeof text === 'string' && UUID.test(text);
}

/** The all-zero UUID: what stands for "no tenant yet" where a tenant column may not be null. */
export const NIL_ID = '00000000-0000-0000-0000-000000000000';
