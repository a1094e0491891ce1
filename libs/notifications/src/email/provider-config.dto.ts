import { Field, Flag, Int, Line, Nullable, OneOf, Optional, Secret, Text } from '#libs/common';
import { SMTP_SECURITIES, type SmtpSecurity } from './provider-configs.js';

const HOST = /^[^\s/?#@\\:]{1,253}$|^[0-9a-fA-F:.]{2,45}$/;
const DOMAIN = /^[\p{L}\p{N}-]+(\.[\p{L}\p{N}-]+)+$/u;

/** A host name or literal address. */
function Host(): PropertyDecorator {
  const check = (value: unknown) =>
    typeof value === 'string' && value.isWellFormed() && HOST.test(value)
      ? undefined
      : 'must be a host name or address of at most 253 characters';
  return Field('host', check, { type: 'string', maxLength: 253, example: 'smtp.example.com' });
}

/** Where a compatible endpoint is, instead of the provider's own. */
function BaseUrl(): PropertyDecorator {
  const check = (value: unknown) => {
    if (typeof value !== 'string' || value.length > 2048 || !URL.canParse(value)) return 'must be a URL';
    const { protocol, username, password, search, hash } = new URL(value);
    if (protocol !== 'https:' && protocol !== 'http:') return 'must be an http or https URL';
    if (username !== '' || password !== '') return 'must not hold credentials';
    return search === '' && hash === '' ? undefined : 'must end with the path';
  };
  return Field('baseUrl', check, {
    type: 'string',
    format: 'uri',
    maxLength: 2048,
    example: 'https://mail.example.com',
  });
}

/** A mail server. */
export class SmtpConfigDto {
  /** Kind of provider. */
  @OneOf(['smtp'])
  provider_type: 'smtp';

  /** Host name or address of the server; it must be public, unless EGRESS_ALLOWED_CIDRS lists its network. */
  @Host()
  host: string;

  /** Port; left out: 465 for tls, 587 for starttls, 25 for none. */
  @Optional()
  @Int(1, 65_535, { example: 587 })
  port?: number;

  /** User to log in as; left out or null: no login. */
  @Optional()
  @Nullable()
  @Line(1, 255, { example: 'postmaster@example.com' })
  username?: string | null;

  /** Password; needed with a username. Shown by its last four characters only. */
  @Optional()
  @Nullable()
  @Secret(1, 1024, { example: 'correct-horse-battery' })
  password?: string | null;

  /** tls: from the first byte. starttls: after the greeting, and never without. none: in clear. Left out: tls on port 465, else starttls. */
  @Optional()
  @OneOf(SMTP_SECURITIES, { example: 'starttls' })
  security?: SmtpSecurity;

  /** Older way to say it: true is tls on port 465 and starttls elsewhere, false is none. `security` wins. */
  @Optional()
  @Flag()
  use_tls?: boolean;
}

/** SendGrid, by its v3 API. */
export class SendgridConfigDto {
  /** Kind of provider. */
  @OneOf(['sendgrid'])
  provider_type: 'sendgrid';

  /** API key with the permission to send mail. Shown by its last four characters only. */
  @Secret(1, 512, { example: 'SG.0123456789abcdef' })
  api_key: string;

  /** A compatible endpoint instead of https://api.sendgrid.com. */
  @Optional()
  @Nullable()
  @BaseUrl()
  base_url?: string | null;
}

/** Mailgun, by its v3 API. */
export class MailgunConfigDto {
  /** Kind of provider. */
  @OneOf(['mailgun'])
  provider_type: 'mailgun';

  /** Private API key or sending key of the domain. Shown by its last four characters only. */
  @Secret(1, 512, { example: 'key-0123456789abcdef' })
  api_key: string;

  /** The sending domain as Mailgun knows it. */
  @Field(
    'domain',
    (value) =>
      typeof value === 'string' && value.length <= 253 && DOMAIN.test(value) ? undefined : 'must be a domain name',
    { type: 'string', maxLength: 253, example: 'mg.example.com' },
  )
  domain: string;

  /** Where the domain is kept. */
  @Optional()
  @OneOf(['us', 'eu'])
  region?: 'us' | 'eu' = 'us';

  /** A compatible endpoint instead of the region's own. */
  @Optional()
  @Nullable()
  @BaseUrl()
  base_url?: string | null;
}

/** Postmark. */
export class PostmarkConfigDto {
  /** Kind of provider. */
  @OneOf(['postmark'])
  provider_type: 'postmark';

  /** Server API token. Shown by its last four characters only. */
  @Secret(1, 512, { example: '00000000-aaaa-bbbb-cccc-000000000000' })
  server_token: string;

  /** Message stream that mail goes through. */
  @Optional()
  @Line(1, 255, { example: 'outbound' })
  message_stream?: string = 'outbound';

  /** A compatible endpoint instead of https://api.postmarkapp.com. */
  @Optional()
  @Nullable()
  @BaseUrl()
  base_url?: string | null;
}

/** Amazon SES, by its v2 API. */
export class SesConfigDto {
  /** Kind of provider. */
  @OneOf(['ses'])
  provider_type: 'ses';

  /** Access key id of an identity that may `ses:SendEmail`. */
  @Text(16, 128, { example: 'AKIAIOSFODNN7EXAMPLE', pattern: '^\\w+$' })
  aws_access_key_id: string;

  /** Its secret. Shown by its last four characters only. */
  @Secret(1, 512, { example: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' })
  aws_secret_access_key: string;

  /** AWS region. */
  @Field(
    'region',
    (value) =>
      typeof value === 'string' && /^[a-z]{2}(-[a-z]+)+-\d{1,2}$/.test(value) ? undefined : 'must be an AWS region',
    { type: 'string', example: 'eu-central-1' },
  )
  region: string;

  /** A compatible endpoint instead of the region's own. */
  @Optional()
  @Nullable()
  @BaseUrl()
  base_url?: string | null;
}

/** Resend. */
export class ResendConfigDto {
  /** Kind of provider. */
  @OneOf(['resend'])
  provider_type: 'resend';

  /** API key with sending access. Shown by its last four characters only. */
  @Secret(1, 512, { example: 're_0123456789abcdef' })
  api_key: string;

  /** A compatible endpoint instead of https://api.resend.com. */
  @Optional()
  @Nullable()
  @BaseUrl()
  base_url?: string | null;
}

/** The class of each kind. */
export const CONFIG_CLASSES = {
  smtp: SmtpConfigDto,
  sendgrid: SendgridConfigDto,
  mailgun: MailgunConfigDto,
  postmark: PostmarkConfigDto,
  ses: SesConfigDto,
  resend: ResendConfigDto,
};

/** One of {@link CONFIG_CLASSES}. */
export type ProviderConfigDto =
  SmtpConfigDto | SendgridConfigDto | MailgunConfigDto | PostmarkConfigDto | SesConfigDto | ResendConfigDto;
