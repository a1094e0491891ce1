import { EgressError } from '#libs/egress';
import { EmailFault, type EmailFaultCode, type FaultDetails } from '../email-faults.js';

/** What nodemailer's errors carry. */
export interface SmtpError extends Error {
  code?: string;
  originalCode?: string;
  responseCode?: number;
  response?: string;
  command?: string;
}

const EGRESS: Record<EgressError['fault'], EmailFaultCode> = {
  EGRESS_URL_REFUSED: 'EMAIL_TARGET_REFUSED',
  EGRESS_ADDRESS_REFUSED: 'EMAIL_TARGET_REFUSED',
  EGRESS_DNS: 'EMAIL_HOST_UNKNOWN',
  EGRESS_CONNECT: 'EMAIL_CONNECT_FAILED',
  EGRESS_TLS: 'EMAIL_TLS_FAILED',
  EGRESS_TIMEOUT: 'EMAIL_TIMEOUT',
  EGRESS_BROKEN: 'EMAIL_CONNECTION_BROKEN',
};

const CONNECT = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL']);
const SERVICE_CLOSING = 421;

/** What is wrong with a certificate or handshake, by OpenSSL's words: nodemailer keeps no code of it. */
export function tlsFault(error: Error & { code?: string }): EmailFaultCode {
  const said = `${error.code ?? ''} ${error.message}`;
  if (/CERT_HAS_EXPIRED|certificate has expired/i.test(said)) return 'EMAIL_CERTIFICATE_EXPIRED';
  if (/ERR_TLS_CERT_ALTNAME|altnames/i.test(said)) return 'EMAIL_CERTIFICATE_NAME_MISMATCH';
  if (/SELF_SIGNED|self.signed|UNABLE_TO_|unable to (get|verify)|CERT_|certificate is not/i.test(said)) {
    return 'EMAIL_CERTIFICATE_UNTRUSTED';
  }
  return 'EMAIL_TLS_FAILED';
}

/** A failure of outgoing HTTP or of a connection, as a fault of mail. */
export function egressFault(error: EgressError): EmailFault {
  const fault =
    error.fault === 'EGRESS_TLS' && error.cause instanceof Error ? tlsFault(error.cause) : EGRESS[error.fault];
  return new EmailFault(fault, { cause: error });
}

function refusalCode(error: SmtpError): EmailFaultCode {
  if (error.code === 'EAUTH') return 'EMAIL_AUTH_FAILED';
  if (error.code === 'ETLS') return 'EMAIL_STARTTLS_NOT_OFFERED';
  const command = error.command ?? '';
  if (/^MAIL/i.test(command)) return 'EMAIL_SENDER_REFUSED';
  if (/^RCPT/i.test(command)) return 'EMAIL_RECIPIENT_REFUSED';
  if (error.code === 'EENVELOPE' || error.code === 'EMESSAGE' || /^DATA/i.test(command)) return 'EMAIL_CONTENT_REFUSED';
  return 'EMAIL_PROVIDER_UNAVAILABLE';
}

function wordlessCode(error: SmtpError): EmailFaultCode {
  const system = error.originalCode ?? error.code ?? '';
  switch (error.code) {
    case 'EAUTH':
    case 'ENOAUTH':
      return 'EMAIL_AUTH_FAILED';
    case 'ETIMEDOUT':
    case 'EABORT':
      return 'EMAIL_TIMEOUT';
    case 'EDNS':
      return 'EMAIL_HOST_UNKNOWN';
    case 'ETLS':
      return tlsFault(error);
    case 'EENVELOPE':
      return 'EMAIL_ADDRESS_UNSUPPORTED';
    case 'EPROTOCOL':
      return 'EMAIL_ANSWER_INVALID';
    default:
      if (CONNECT.has(system)) return 'EMAIL_CONNECT_FAILED';
      if (system === 'ETIMEDOUT') return 'EMAIL_TIMEOUT';
      return /CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS|ERR_SSL|EPROTO/.test(system)
        ? tlsFault(Object.assign(new Error(error.message), { code: system }))
        : 'EMAIL_CONNECTION_BROKEN';
  }
}

/** Any failure of an SMTP attempt as a fault; the server's own words stay out of it, its numbers do not. */
export function smtpFault(error: unknown): EmailFault {
  if (error instanceof EmailFault) return error;
  if (error instanceof EgressError) return egressFault(error);
  const failure = (error instanceof Error ? error : new Error('Unknown failure')) as SmtpError;
  const { responseCode: statusCode } = failure;
  if (statusCode === undefined || statusCode < 400) return new EmailFault(wordlessCode(failure), { cause: error });
  const enhanced = /^\d{3}[ -]([245]\.\d{1,3}\.\d{1,3})\b/.exec(failure.response ?? '')?.[1];
  const details: FaultDetails = { statusCode, enhanced, cause: error };
  if (statusCode === SERVICE_CLOSING) return new EmailFault('EMAIL_PROVIDER_UNAVAILABLE', details);
  if (failure.code === 'ETLS') return new EmailFault('EMAIL_STARTTLS_NOT_OFFERED', details);
  if (statusCode < 500) return new EmailFault('EMAIL_TEMPORARILY_REFUSED', details);
  return new EmailFault(refusalCode(failure), details);
}
