import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { retryAfterMs } from './retry-after.js';

describe('Retry-After', () => {
  it('is seconds or a date of HTTP, and nothing else', () => {
    const now = Date.parse('2026-01-01T00:00:00Z');
    const readings: [string | undefined, number | undefined][] = [
      [undefined, undefined],
      ['', undefined],
      ['0', 0],
      [' 120 ', 120_000],
      ['999999999', 999_999_999_000],
      ['1234567890', undefined],
      ['-1', undefined],
      ['1.5', undefined],
      ['Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
      ['Wed, 31 Dec 2025 00:01:00 GMT', 0],
      ['2026-01-01', undefined],
      ['soon', undefined],
    ];
    for (const [value, expected] of readings) assert.equal(retryAfterMs(value, now), expected, value);
  });
});
