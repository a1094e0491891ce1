import { Email, Flag, Id, Instant, Line, ListQueryDto, Nullable, OneOf, Optional, Variant } from '#libs/common';
import { CONFIG_CLASSES, type ProviderConfigDto } from './provider-config.dto.js';
import { PROVIDER_TYPES, type ProviderType } from './provider-configs.js';

/** A configured mail provider. */
export class EmailProviderDto {
  /** Identifier. */
  @Id()
  id: string;

  /** Kind of provider; there is one of each at most. */
  @OneOf(PROVIDER_TYPES)
  provider_type: ProviderType;

  /** Its configuration, secrets by their last four characters; null when the server has lost the key it is encrypted with. */
  @Nullable()
  @Variant('provider_type', CONFIG_CLASSES)
  provider_config: ProviderConfigDto | null;

  /** Whether mail to one recipient goes by it. */
  @Flag()
  is_primary: boolean;

  /** Whether mail to two or more recipients goes by it. */
  @Flag({ example: false })
  is_bulk: boolean;

  /** Sender of mail that names none. Only addresses of its domain may be a mail's from_email. */
  @Email()
  default_from_email: string;

  /** Name of the sender of mail that names none. */
  @Nullable()
  @Line(1, 255, { example: 'Acme Support' })
  default_from_name: string | null;

  /** When it was first set. */
  @Instant()
  created_at: string;

  /** When it was last changed. */
  @Instant()
  updated_at: string;
}

/** Sets the one provider of its type. */
export class EmailProviderPutDto {
  /** What is needed to send by it; `provider_type` says which fields there are. */
  @Variant('provider_type', CONFIG_CLASSES)
  provider_config: ProviderConfigDto;

  /** Makes it the one for mail to a single recipient, instead of the one before. Left out: as it is; the first provider is primary. */
  @Optional()
  @Flag()
  is_primary?: boolean;

  /** Makes it the one for mail to two or more recipients, instead of the one before. Left out: as it is. */
  @Optional()
  @Flag({ example: false })
  is_bulk?: boolean;

  /** Sender of mail that names none. Only addresses of its domain may be a mail's from_email. */
  @Email()
  default_from_email: string;

  /** Name of the sender of mail that names none, at most 255 characters. */
  @Optional()
  @Nullable()
  @Line(1, 255, { example: 'Acme Support' })
  default_from_name?: string | null;
}

/** How providers are listed. */
export class EmailProviderListQueryDto extends ListQueryDto {
  /** Sort column. */
  @Optional()
  @OneOf(['created_at'])
  override sort?: string = 'created_at';
}
