import type { AttemptOutcome } from '#libs/jobs';

/**
 * What becomes of a mail after a failure. `retry`: it can pass. `failed`: it never will. `elsewhere`: not with this
 * provider as it is configured, so the next one is tried where there is one.
 */
type Consequence = 'retry' | 'failed' | 'elsewhere';

/** Every way a mail can fail: stable code → what follows, and the words for people. docs/email-providers.md lists them. */
export const EMAIL_FAULTS = {
  EMAIL_PROVIDER_NOT_CONFIGURED: ['failed', 'No email provider is configured'],
  EMAIL_SENDER_NOT_ALLOWED: ['failed', 'No configured provider may send from this from_email'],
  EMAIL_INVALID: ['failed', 'The mail cannot be written as a message'],
  EMAIL_SECRET_UNREADABLE: ['elsewhere', 'The stored configuration was encrypted with a key the server does not have'],
  EMAIL_TARGET_REFUSED: [
    'elsewhere',
    'The address of the provider is not public; only EGRESS_ALLOWED_CIDRS can allow it',
  ],
  EMAIL_HOST_UNKNOWN: ['retry', 'The host name of the provider does not resolve'],
  EMAIL_CONNECT_FAILED: ['retry', 'The provider does not take connections'],
  EMAIL_CONNECTION_BROKEN: ['retry', 'The connection to the provider broke'],
  EMAIL_TIMEOUT: ['retry', 'The provider did not answer in time'],
  EMAIL_STARTTLS_NOT_OFFERED: ['elsewhere', 'The server does not offer STARTTLS'],
  EMAIL_TLS_FAILED: ['retry', 'The TLS connection to the provider could not be made'],
  EMAIL_CERTIFICATE_UNTRUSTED: ['retry', 'The certificate of the provider is not trusted'],
  EMAIL_CERTIFICATE_EXPIRED: ['retry', 'The certificate of the provider has expired'],
  EMAIL_CERTIFICATE_NAME_MISMATCH: ['retry', 'The certificate of the provider is for another host'],
  EMAIL_AUTH_FAILED: ['elsewhere', 'The provider refused the credentials'],
  EMAIL_AUTH_NOT_OFFERED: ['elsewhere', 'The server offers no way to log in'],
  EMAIL_ACCOUNT_REFUSED: ['elsewhere', 'The provider does not let this account send'],
  EMAIL_SENDER_REFUSED: ['elsewhere', 'The provider refused the sender'],
  EMAIL_RECIPIENT_REFUSED: ['failed', 'The recipient was refused'],
  EMAIL_CONTENT_REFUSED: ['failed', 'The provider refused the message'],
  EMAIL_ADDRESS_UNSUPPORTED: ['failed', 'The provider cannot send to or from such an address'],
  EMAIL_TEMPORARILY_REFUSED: ['retry', 'The provider refused for now'],
  EMAIL_RATE_LIMITED: ['retry', 'The provider limits the rate'],
  EMAIL_PROVIDER_UNAVAILABLE: ['retry', 'The provider is not available'],
  EMAIL_ANSWER_INVALID: ['retry', 'The provider answered what it does not document'],
} as const satisfies Record<string, readonly [Consequence, string]>;

/** A code of {@link EMAIL_FAULTS}. */
export type EmailFaultCode = keyof typeof EMAIL_FAULTS;

/** What is known of a failure besides its code. */
export interface FaultDetails {
  /** SMTP reply or HTTP status. */
  statusCode?: number;
  /** Enhanced status of SMTP, such as 5.1.1. */
  enhanced?: string;
  retryAfterMs?: number;
  /** The recipient was refused and those in copy were not: the id under which the mail was taken for them. */
  copiesTakenAs?: string;
  cause?: unknown;
}

/** Thrown by transports; its message names no secret, content or address. */
export class EmailFault extends Error {
  constructor(
    readonly code: EmailFaultCode,
    readonly details: FaultDetails = {},
  ) {
    super(wordsOf(code, details), { cause: details.cause });
  }
}

function wordsOf(code: EmailFaultCode, { statusCode, enhanced }: FaultDetails): string {
  const said = [statusCode, enhanced].filter((part) => part !== undefined).join(' ');
  return said === '' ? EMAIL_FAULTS[code][1] : `${EMAIL_FAULTS[code][1]} (${said})`;
}

/** The outcome of a failed attempt; `hasOther`: whether another provider can be tried. */
export function failedOutcome(fault: EmailFault, providerName: string | undefined, hasOther: boolean): AttemptOutcome {
  const [consequence] = EMAIL_FAULTS[fault.code] as readonly [Consequence, string];
  return {
    result: consequence === 'retry' || (consequence === 'elsewhere' && hasOther) ? 'retry' : 'failed',
    errorCode: fault.code,
    error: fault.message,
    providerName,
    statusCode: fault.details.statusCode,
    retryAfterMs: fault.details.retryAfterMs,
    providerMessageId: fault.details.copiesTakenAs?.slice(0, 255),
  };
}
