import { Flag, Id, Instant, Int, ListQueryDto, ManyOf, Nullable, OneOf, Optional, Text } from '#libs/common';
import { SCOPES, type Scope } from '#libs/security';

/** A registered application: a tenant. */
export class ClientDto {
  /** Identifier. */
  @Id()
  id: string;

  /** Display name. */
  @Text(1, 255, { example: 'Acme Support' })
  name: string;

  /** What the application is. */
  @Nullable()
  @Text(0, 2000, { example: 'Help desk of Acme' })
  description: string | null;

  /** False when the tenant is switched off. */
  @Flag()
  is_active: boolean;

  /** When it was registered. */
  @Instant()
  created_at: string;

  /** When it was last changed. */
  @Instant()
  updated_at: string;
}

/** A client as answered once, at registration. */
export class RegisteredClientDto extends ClientDto {
  /** The master key. It is shown this once; only its hash is kept. */
  @Text(60, 60, { example: 'ck_live_aB3dE6gH_0123456789012345678901234567890123456789abc' })
  master_api_key: string;
}

/** What registers a client. */
export class ClientCreateDto {
  /** Display name, 1–255 characters. */
  @Text(1, 255, { example: 'Acme Support' })
  name: string;

  /** What the application is, at most 2,000 characters. */
  @Optional()
  @Nullable()
  @Text(0, 2000, { example: 'Help desk of Acme' })
  description?: string | null;
}

/** Changes to a client; what is left out stays. */
export class ClientUpdateDto {
  /** Display name, 1–255 characters. */
  @Optional()
  @Text(1, 255, { example: 'Acme Support' })
  name?: string;

  /** What the application is, at most 2,000 characters. */
  @Optional()
  @Nullable()
  @Text(0, 2000, { example: 'Help desk of Acme' })
  description?: string | null;
}

/** Confirms the erasure of a tenant. */
export class ClientEraseDto {
  /** The client's exact name. */
  @Text(1, 255, { example: 'Acme Support' })
  confirm: string;
}

/** A stored key; the secret itself is never shown again. */
export class ApiKeyDto {
  /** Identifier of the key. */
  @Id()
  id: string;

  /** Label. */
  @Nullable()
  @Text(1, 255, { example: 'Reporting' })
  name: string | null;

  /** The visible start of the key. */
  @Text(16, 16, { example: 'ck_live_aB3dE6gH' })
  hint: string;

  /** Whether this is the master key. */
  @Flag()
  is_master: boolean;

  /** What the key may do. */
  @ManyOf(SCOPES)
  scopes: Scope[];

  /** When it stops working; null: never. */
  @Nullable()
  @Instant()
  expires_at: string | null;

  /** When it was last used, to the minute. */
  @Nullable()
  @Instant()
  last_used_at: string | null;

  /** When it was made. */
  @Instant()
  created_at: string;
}

/** A key as answered once, when it is made. */
export class NewApiKeyDto extends ApiKeyDto {
  /** The key. It is shown this once. */
  @Text(60, 60, { example: 'ck_live_aB3dE6gH_0123456789012345678901234567890123456789abc' })
  key: string;
}

/** What makes a narrower key. */
export class ApiKeyCreateDto {
  /** What the key may do; nothing the calling key lacks. */
  @ManyOf(SCOPES)
  scopes: Scope[];

  /** Label, 1–255 characters. */
  @Optional()
  @Nullable()
  @Text(1, 255, { example: 'Reporting' })
  name?: string | null;

  /** When it stops working. */
  @Optional()
  @Nullable()
  @Instant()
  expires_at?: string | null;
}

/** How the master key is replaced. */
export class ApiKeyRotateDto {
  /** Seconds the old master key keeps working, 0–86,400. */
  @Optional()
  @Int(0, 86_400, { example: 0 })
  grace_seconds?: number = 0;
}

/** How keys are listed. */
export class ApiKeyListQueryDto extends ListQueryDto {
  /** Sort column. */
  @Optional()
  @OneOf(['created_at'])
  override sort?: string = 'created_at';
}
