import { invalid } from '#libs/common';
import type { ProviderConfigDto, SmtpConfigDto } from './provider-config.dto.js';
import type { ProviderConfig, SmtpConfig, SmtpSecurity } from './provider-configs.js';

const TLS_PORT = 465;
const PORTS: Record<SmtpSecurity, number> = { tls: TLS_PORT, starttls: 587, none: 25 };

function securityOf(dto: SmtpConfigDto): SmtpSecurity {
  if (dto.security !== undefined) return dto.security;
  if (dto.use_tls === false) return 'none';
  return dto.port === TLS_PORT ? 'tls' : 'starttls';
}

function toSmtpConfig(dto: SmtpConfigDto): SmtpConfig {
  const { username = null, password = null } = dto;
  if ((username === null) !== (password === null)) {
    const field = `provider_config.${username === null ? 'username' : 'password'}`;
    throw invalid({ field, message: `${field} is required: username and password come together` });
  }
  const security = securityOf(dto);
  return { provider_type: 'smtp', host: dto.host, port: dto.port ?? PORTS[security], username, password, security };
}

/** What was asked, with everything left out filled in. */
export function toProviderConfig(dto: ProviderConfigDto): ProviderConfig {
  if (dto.provider_type === 'smtp') return toSmtpConfig(dto);
  const base_url = dto.base_url?.replace(/\/+$/, '') ?? null;
  switch (dto.provider_type) {
    case 'mailgun':
      return { ...dto, region: dto.region ?? 'us', base_url };
    case 'postmark':
      return { ...dto, message_stream: dto.message_stream ?? 'outbound', base_url };
    default:
      return { ...dto, base_url };
  }
}
