import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { isIP } from 'node:net';

/** A certificate with its key, both in PEM. */
export interface Certificate {
  cert: string;
  key: string;
}

const tlv = (tag: number, ...contents: Buffer[]): Buffer => {
  const body = Buffer.concat(contents);
  const length = body.length < 128 ? [body.length] : [0x82, body.length >> 8, body.length & 255];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
};
const sequence = (...contents: Buffer[]): Buffer => tlv(0x30, ...contents);
const hex = (text: string): Buffer => Buffer.from(text, 'hex');

// ecdsa-with-SHA256, commonName, subjectAltName, basicConstraints, as encoded object identifiers.
const ECDSA_SHA256 = sequence(tlv(0x06, hex('2a8648ce3d040302')));
const COMMON_NAME = tlv(0x06, hex('550403'));
const ALT_NAME = tlv(0x06, hex('551d11'));
const BASIC_CONSTRAINTS = tlv(0x06, hex('551d13'));

const time = (at: Date): Buffer =>
  tlv(0x17, Buffer.from(`${at.toISOString().slice(2, 19).replace(/[-:T]/g, '')}Z`, 'latin1'));

const altName = (host: string): Buffer =>
  isIP(host) === 4 ? tlv(0x87, Buffer.from(host.split('.').map(Number))) : tlv(0x82, Buffer.from(host, 'latin1'));

/** A self-signed certificate for these hosts, valid from an hour ago for `days` (negative: it has expired). */
export function aCertificate(hosts: string[], days = 1): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const now = Date.now();
  const name = sequence(tlv(0x31, sequence(COMMON_NAME, tlv(0x0c, Buffer.from(hosts[0]!, 'utf8')))));
  const validity = sequence(
    time(new Date(now - 3_600_000 - (days < 0 ? 10 * 86_400_000 : 0))),
    time(new Date(now + days * 86_400_000)),
  );
  const extensions = sequence(
    sequence(ALT_NAME, tlv(0x04, sequence(...hosts.map(altName)))),
    sequence(BASIC_CONSTRAINTS, tlv(0x04, sequence(tlv(0x01, hex('ff'))))),
  );
  const toSign = sequence(
    tlv(0xa0, tlv(0x02, hex('02'))),
    tlv(0x02, Buffer.concat([hex('01'), randomBytes(8)])),
    ECDSA_SHA256,
    name,
    validity,
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(0xa3, extensions),
  );
  const signature = sign('sha256', toSign, privateKey);
  const der = sequence(toSign, ECDSA_SHA256, tlv(0x03, hex('00'), signature));
  const base64 = der.toString('base64').replace(/(.{64})/g, '$1\n');
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}
