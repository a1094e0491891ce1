/** The kinds of providers. */
export const PROVIDER_TYPES = ['smtp', 'sendgrid', 'mailgun', 'postmark', 'ses', 'resend'] as const;
/** One of {@link PROVIDER_TYPES}. */
export type ProviderType = (typeof PROVIDER_TYPES)[number];

/** How a connection to a mail server is protected. */
export const SMTP_SECURITIES = ['tls', 'starttls', 'none'] as const;
/** One of {@link SMTP_SECURITIES}. */
export type SmtpSecurity = (typeof SMTP_SECURITIES)[number];

/** A mail server, with nothing left open. */
export interface SmtpConfig {
  provider_type: 'smtp';
  host: string;
  port: number;
  username: string | null;
  password: string | null;
  security: SmtpSecurity;
}

/** SendGrid's v3 API. */
export interface SendgridConfig {
  provider_type: 'sendgrid';
  api_key: string;
  base_url: string | null;
}

/** Mailgun's v3 API. */
export interface MailgunConfig {
  provider_type: 'mailgun';
  api_key: string;
  domain: string;
  region: 'us' | 'eu';
  base_url: string | null;
}

/** Postmark's API. */
export interface PostmarkConfig {
  provider_type: 'postmark';
  server_token: string;
  message_stream: string;
  base_url: string | null;
}

/** Amazon SES, API v2. */
export interface SesConfig {
  provider_type: 'ses';
  aws_access_key_id: string;
  aws_secret_access_key: string;
  region: string;
  base_url: string | null;
}

/** Resend's API. */
export interface ResendConfig {
  provider_type: 'resend';
  api_key: string;
  base_url: string | null;
}

/** Configuration of a provider, as it is sealed. */
export type ProviderConfig = SmtpConfig | SendgridConfig | MailgunConfig | PostmarkConfig | SesConfig | ResendConfig;

/** Which fields are secrets and never shown. */
export const SECRET_FIELDS: readonly string[] = ['password', 'api_key', 'server_token', 'aws_secret_access_key'];

/** A provider as a mail is sent by it. */
export interface EmailProvider {
  /** undefined: the sealed configuration cannot be opened. */
  config: ProviderConfig | undefined;
  type: ProviderType;
  isPrimary: boolean;
  isBulk: boolean;
  defaultFromEmail: string;
  defaultFromName: string | null;
  /** Changes with the configuration. */
  version: string;
}
