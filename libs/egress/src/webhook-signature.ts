import { createHmac, randomBytes } from 'node:crypto';

const PREFIX = 'whsec_';

/** A new signing secret: `whsec_` and 32 random bytes in base64, as Standard Webhooks wants it. */
export function newSigningSecret(): string {
  return PREFIX + randomBytes(32).toString('base64');
}

/**
 * The signature headers of one attempt, by the Standard Webhooks specification (symmetric, `v1`): HMAC-SHA256 over
 * `id.timestamp.body`, one signature per secret, newest first. `X-ChatAPI-Signature` is for receivers that want no
 * library: the HMAC of the raw body alone, keyed by the newest secret as it is shown.
 */
export function signatureHeaders(
  id: string,
  timestampSeconds: number,
  body: string,
  secrets: readonly string[],
): Record<string, string> {
  const signed = `${id}.${timestampSeconds}.${body}`;
  const signatures = secrets.map((secret) => {
    const key = Buffer.from(secret.slice(PREFIX.length), 'base64');
    return `v1,${createHmac('sha256', key).update(signed).digest('base64')}`;
  });
  return {
    'webhook-id': id,
    'webhook-timestamp': String(timestampSeconds),
    'webhook-signature': signatures.join(' '),
    'x-chatapi-signature': `sha256=${createHmac('sha256', secrets[0]!).update(body).digest('hex')}`,
  };
}
