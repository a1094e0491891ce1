import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { startDnsServer, type DnsServer } from '../../../test/support/dns-server.js';
import { EgressError, type EgressFault } from './egress.js';
import { NameResolver } from './name-resolver.js';
import { ResolvingGuard } from './resolving-guard.js';

/** Every address a name may never lead to, one or two of each range. */
const HOSTILE_V4 = [
  '0.0.0.0',
  '0.1.2.3',
  '10.0.0.1',
  '10.255.255.255',
  '100.64.0.1',
  '100.127.255.255',
  '127.0.0.1',
  '127.255.255.254',
  '169.254.0.1',
  '169.254.169.254',
  '172.16.0.1',
  '172.31.255.255',
  '192.0.0.1',
  '192.0.0.192',
  '192.0.2.1',
  '192.88.99.1',
  '192.168.0.1',
  '198.18.0.1',
  '198.19.255.255',
  '198.51.100.1',
  '203.0.113.1',
  '224.0.0.1',
  '239.255.255.255',
  '240.0.0.1',
  '255.255.255.255',
];

const HOSTILE_V6 = [
  '::',
  '::1',
  '::7f00:1',
  '::808:808',
  '::ffff:7f00:1',
  '::ffff:a00:1',
  '::ffff:a9fe:a9fe',
  '::ffff:0:7f00:1',
  '64:ff9b::7f00:1',
  '64:ff9b::808:808',
  '64:ff9b:1::a00:1',
  '100::1',
  '2001::1',
  '2001:2::1',
  '2001:db8::1',
  '2002:7f00:1::1',
  '2002:808:808::1',
  '3fff::1',
  '4000::1',
  '5f00::1',
  'fc00::1',
  'fd00:ec2::254',
  'fe80::1',
  'fec0::1',
  'ff02::1',
];

/** Spellings that mean a hostile address or none at all. */
const HOSTILE_HOSTS = [
  '2130706433',
  '0x7f000001',
  '0x7f.1',
  '0177.0.0.1',
  '127.1',
  '127.0.1',
  '0',
  '127.0.0.1.',
  '%31%32%37.0.0.1',
  '１２７.０.０.１',
  '127。0。0。1',
  'localhost',
  'LOCALHOST',
  'localhost.',
  'a.localhost',
];

const PUBLIC = [
  '8.8.8.8',
  '1.1.1.1',
  '172.32.0.1',
  '100.128.0.1',
  '198.20.0.1',
  '2606:4700:4700::1111',
  '::ffff:8.8.8.8',
];

const faultOf = (fault: EgressFault) => (error: unknown) => {
  assert.ok(error instanceof EgressError, String(error));
  assert.equal(error.fault, fault);
  return true;
};
const inUrl = (host: string): string => (host.includes(':') ? `[${host}]` : host);

describe('ResolvingGuard', () => {
  let dns: DnsServer;
  let resolver: NameResolver;
  const answers = new Map<string, string[]>();
  before(async () => {
    dns = await startDnsServer((name, type) =>
      (answers.get(name) ?? []).filter((address) => address.includes(':') === (type === 'AAAA')),
    );
    resolver = new NameResolver([dns.address]);
  });
  after(() => dns.close());
  const guard = (egressAllowedCidrs: string[] = [], production = false) =>
    new ResolvingGuard({ production, egressAllowedCidrs }, resolver);

  for (const address of [...HOSTILE_V4, ...HOSTILE_V6]) {
    it(`refuses ${address}: written out, as a name's answer, and among good answers`, async () => {
      answers.set('hostile.test', [address]);
      answers.set('mixed.test', ['8.8.8.8', '2606:4700::1', address]);
      assert.throws(() => guard().checkUrl(`https://${inUrl(address)}/hook`), faultOf('EGRESS_ADDRESS_REFUSED'));
      for (const host of [address, 'hostile.test', 'mixed.test', 'hostile.test.']) {
        await assert.rejects(guard().resolve(host), faultOf('EGRESS_ADDRESS_REFUSED'), host);
        await assert.rejects(guard().check(`http://${inUrl(host)}:8080/`), faultOf('EGRESS_ADDRESS_REFUSED'), host);
      }
    });
  }

  for (const host of HOSTILE_HOSTS) {
    it(`refuses the host ${host}, in a URL and as an SMTP host`, async () => {
      await assert.rejects(guard().check(`http://${host}/`), faultOf('EGRESS_ADDRESS_REFUSED'));
      await assert.rejects(guard().resolve(host), faultOf('EGRESS_ADDRESS_REFUSED'));
    });
  }

  it('refuses what is no http URL, or holds credentials', () => {
    const urls = [
      '',
      'hook',
      '//example.com',
      'ftp://example.com',
      'file:///etc/passwd',
      'gopher://example.com',
      'data:text/plain,x',
      'javascript:alert(1)',
      'unix:/var/run/docker.sock',
      'http://',
      'http://user@example.com',
      'https://user:secret@example.com',
      'https://:secret@example.com',
      'http://exa mple.com',
      'http://[fe80::1%25eth0]/',
      'http://[::1',
      'http://256.256.256.256',
    ];
    for (const url of urls) assert.throws(() => guard().checkUrl(url), faultOf('EGRESS_URL_REFUSED'), url);
  });

  it('refuses hosts that are more than a host', async () => {
    const hosts = [
      '',
      ' ',
      'a b',
      'a@b',
      'a/b',
      'a?b',
      'a#b',
      'a\\b',
      'example.com:25',
      'example.com:',
      '.',
      'fe80::1%eth0',
    ];
    for (const host of hosts) await assert.rejects(guard().resolve(host), faultOf('EGRESS_URL_REFUSED'), host);
  });

  it('names the variable, and neither the address nor the host', async () => {
    answers.set('inside.test', ['10.1.2.3']);
    await assert.rejects(guard().check('https://inside.test/secret-path'), (error: Error) => {
      assert.match(error.message, /EGRESS_ALLOWED_CIDRS/);
      assert.doesNotMatch(error.message, /10\.1|inside|secret/);
      return true;
    });
  });

  it('lets public addresses through, all of a name, IPv4 first', async () => {
    for (const address of PUBLIC) guard().checkUrl(`https://${inUrl(address)}/`);
    answers.set('public.test', ['2606:4700::1', '8.8.8.8', '8.8.4.4']);
    const found = await guard().check('https://public.test:8443/path?x=1');
    assert.deepEqual(
      found.map(({ host, address, family }) => [host, address, family]),
      [
        ['public.test', '8.8.8.8', 4],
        ['public.test', '8.8.4.4', 4],
        ['public.test', '2606:4700::1', 6],
      ],
    );
  });

  it('says when a name does not resolve', async () => {
    await assert.rejects(guard().resolve('nobody.test'), faultOf('EGRESS_DNS'));
    await assert.rejects(guard().check('https://nobody.test/'), faultOf('EGRESS_DNS'));
  });

  it('lets exactly the allowed networks through as well', async () => {
    const open = guard(['10.0.0.0/8', 'fd00::/8']);
    for (const address of ['10.0.0.1', '10.255.255.255', 'fd12::1', '::ffff:10.0.0.1']) await open.resolve(address);
    for (const address of ['9.255.255.255', '11.0.0.0']) await open.resolve(address);
    for (const address of ['127.0.0.1', '192.168.0.1', '169.254.169.254', 'fc00::1', '64:ff9b::a00:1']) {
      await assert.rejects(open.resolve(address), faultOf('EGRESS_ADDRESS_REFUSED'), address);
    }
    answers.set('half.test', ['10.0.0.1', '192.168.0.1']);
    await assert.rejects(open.resolve('half.test'), faultOf('EGRESS_ADDRESS_REFUSED'));
  });

  it('in production takes plain http for allowed networks only', async () => {
    answers.set('public.test', ['8.8.8.8']);
    answers.set('inside.test', ['10.0.0.1']);
    answers.set('both.test', ['10.0.0.1', '8.8.8.8']);
    const closed = guard([], true);
    const open = guard(['10.0.0.0/8'], true);
    assert.throws(() => closed.checkUrl('http://public.test/'), faultOf('EGRESS_URL_REFUSED'));
    await closed.check('https://public.test/');
    for (const url of ['http://public.test/', 'http://8.8.8.8/', 'http://both.test/']) {
      await assert.rejects(open.check(url), faultOf('EGRESS_URL_REFUSED'), url);
    }
    for (const url of ['http://inside.test/', 'http://10.0.0.1/', 'https://public.test/']) await open.check(url);
  });
});
