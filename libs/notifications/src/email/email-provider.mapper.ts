import { maskSecret } from '#libs/common';
import type { SecretBox } from '#libs/security';
import type { EmailProviderDto } from './email-provider.dto.js';
import { SECRET_FIELDS, type EmailProvider, type ProviderConfig, type ProviderType } from './provider-configs.js';

/** A row of `email_providers`. */
export interface EmailProviderRow {
  id: string;
  provider_type: ProviderType;
  config: Buffer;
  is_primary: boolean;
  is_bulk: boolean;
  default_from_email: string;
  default_from_name: string | null;
  created_at: Date;
  updated_at: Date;
}

function open(row: EmailProviderRow, box: SecretBox): ProviderConfig | undefined {
  try {
    return JSON.parse(box.open(row.config)) as ProviderConfig;
  } catch {
    return undefined;
  }
}

/** A configuration with its secrets shown by their last four characters. */
export function maskConfig(config: ProviderConfig): ProviderConfig {
  const shown = Object.entries(config).map(([name, value]) => [
    name,
    SECRET_FIELDS.includes(name) && typeof value === 'string' ? maskSecret(value) : (value as unknown),
  ]);
  return Object.fromEntries(shown) as ProviderConfig;
}

/** Row → contract, without the secrets. */
export function toEmailProviderDto(row: EmailProviderRow, box: SecretBox): EmailProviderDto {
  const config = open(row, box);
  return {
    id: row.id,
    provider_type: row.provider_type,
    provider_config: config ? maskConfig(config) : null,
    is_primary: row.is_primary,
    is_bulk: row.is_bulk,
    default_from_email: row.default_from_email,
    default_from_name: row.default_from_name,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
}

/** Row → what mail is sent by. */
export function toEmailProvider(row: EmailProviderRow, box: SecretBox): EmailProvider {
  return {
    config: open(row, box),
    type: row.provider_type,
    isPrimary: row.is_primary,
    isBulk: row.is_bulk,
    defaultFromEmail: row.default_from_email,
    defaultFromName: row.default_from_name,
    version: row.config.toString('base64'),
  };
}
