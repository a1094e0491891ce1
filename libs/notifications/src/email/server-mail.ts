import type { DefaultSender } from './sender-rules.js';
import { SMTP_SECURITIES, type SmtpSecurity } from './provider-configs.js';
import type { SmtpTarget } from './transports/smtp-pools.js';

/** The operator's own mail server, from `MAIL_URL`. */
export interface ServerMail extends DefaultSender {
  target: SmtpTarget;
}

/**
 * Reads `smtp://user:password@host:port?security=…&from=…`. smtps is TLS from the first byte; smtp takes STARTTLS where
 * it is offered, or as `security` says. The host is the operator's choice, so no guard stands before it.
 */
export function readMailUrl(mailUrl: string, publicUrl: string): ServerMail {
  const url = new URL(mailUrl);
  const asked = url.searchParams.get('security');
  const tls = url.protocol === 'smtps:' || asked === 'tls';
  const named = SMTP_SECURITIES.includes(asked as SmtpSecurity) ? (asked as SmtpSecurity) : 'offered';
  const username = url.username === '' ? null : decodeURIComponent(url.username);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return {
    target: {
      host,
      port: url.port === '' ? (tls ? 465 : 587) : Number(url.port),
      username,
      password: url.password === '' ? null : decodeURIComponent(url.password),
      security: tls ? 'tls' : named,
      guard: undefined,
    },
    defaultFromEmail:
      url.searchParams.get('from') ?? (username?.includes('@') ? username : `no-reply@${new URL(publicUrl).hostname}`),
    defaultFromName: url.searchParams.get('name'),
  };
}
