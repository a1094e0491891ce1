import assert from 'node:assert/strict';
import type { IncomingMessage } from 'node:http';
import { describe, it } from 'node:test';
import { fastify } from 'fastify';
import { addressOf, trustedProxies } from './trusted-proxies.js';

describe('The address of a caller', () => {
  for (const [trustProxy, remote, forwarded, expected] of [
    [false, '192.0.2.1', '198.51.100.1', '192.0.2.1'],
    [true, '192.0.2.1', '198.51.100.1, 10.0.0.2', '198.51.100.1'],
    [true, '192.0.2.1', undefined, '192.0.2.1'],
    [['10.0.0.0/8'], '192.0.2.1', '198.51.100.1', '192.0.2.1'],
    [['10.0.0.0/8'], '10.0.0.1', '198.51.100.1', '198.51.100.1'],
    [['10.0.0.0/8'], '10.0.0.1', '203.0.113.9, 198.51.100.1, 10.0.0.2', '198.51.100.1'],
    [['10.0.0.0/8'], '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
    [['10.0.0.1', '10.0.0.2'], '10.0.0.1', '198.51.100.1, 10.0.0.3, 10.0.0.2', '10.0.0.3'],
    [['10.0.0.0/8'], '::ffff:10.0.0.1', '198.51.100.1', '198.51.100.1'],
    [['fd00::/8', '10.0.0.0/8'], 'fd12::1', '2001:db8::1, 10.0.0.7', '2001:db8::1'],
    [['10.0.0.0/8'], '10.0.0.1', '198.51.100.1, unknown', 'unknown'],
  ] as [boolean | string[], string, string | undefined, string][]) {
    it(`of ${remote} for ${forwarded} is ${expected} where ${String(trustProxy)} is believed, for REST and sockets`, async () => {
      const trusted = trustedProxies({ trustProxy });
      const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded };
      const request = { headers, socket: { remoteAddress: remote } } as unknown as IncomingMessage;
      assert.equal(addressOf(request, trusted), expected);
      const app = fastify({ trustProxy: trusted });
      app.get('/', (asked) => asked.ip);
      const reply = await app.inject({ url: '/', remoteAddress: remote, headers });
      assert.equal(reply.body, expected);
    });
  }
});
