import { Injectable } from '@nestjs/common';
import type { Page } from '#libs/common';
import { addDateRange, Conditions, Database, listPage, type Tx } from '#libs/database';
import { SecretBox } from '#libs/security';
import type { EmailProviderDto, EmailProviderListQueryDto } from './email-provider.dto.js';
import { toEmailProviderDto, type EmailProviderRow } from './email-provider.mapper.js';
import type { ProviderType } from './provider-configs.js';

const COLUMNS =
  'id, provider_type, config, is_primary, is_bulk, default_from_email, default_from_name, created_at, updated_at';

/** What is stored of a provider; null flags stay as they are. */
export interface EmailProviderWrite {
  id: string;
  providerType: ProviderType;
  config: Buffer;
  isPrimary: boolean | null;
  isBulk: boolean | null;
  defaultFromEmail: string;
  defaultFromName: string | null;
}

/** Every query on the providers of a client. */
@Injectable()
export class EmailProvidersRepository {
  constructor(
    private readonly database: Database,
    private readonly box: SecretBox,
  ) {}

  /** All of a client, oldest first. */
  all(clientId: string): Promise<EmailProviderRow[]> {
    return this.database.prepared<EmailProviderRow>(
      'email-providers-all',
      `SELECT ${COLUMNS} FROM email_providers WHERE client_id = $1 ORDER BY created_at, id`,
      [clientId],
    );
  }

  list(clientId: string, query: EmailProviderListQueryDto): Promise<Page<EmailProviderDto>> {
    const where = new Conditions().add('client_id = ?', clientId);
    addDateRange(where, 'created_at', query);
    const sorts = { created_at: { sql: 'created_at', type: 'timestamptz' as const } };
    return listPage<EmailProviderRow, EmailProviderDto>(
      this.database,
      query,
      { select: COLUMNS, from: 'email_providers', where, sorts, id: 'id' },
      (row) => toEmailProviderDto(row, this.box),
    );
  }

  /** Writers of one client go one after another, so that a flag that moves is never on two providers. */
  async lock(tx: Tx, clientId: string): Promise<void> {
    await tx.query('SELECT 1 FROM clients WHERE id = $1 FOR NO KEY UPDATE', [clientId]);
  }

  /** Takes the flags from the client's other providers. */
  async clearFlags(tx: Tx, clientId: string, keep: ProviderType, primary: boolean, bulk: boolean): Promise<void> {
    await tx.query(
      `UPDATE email_providers SET is_primary = is_primary AND NOT $3, is_bulk = is_bulk AND NOT $4, updated_at = now()
       WHERE client_id = $1 AND provider_type <> $2 AND (is_primary AND $3 OR is_bulk AND $4)`,
      [clientId, keep, primary, bulk],
    );
  }

  /** Writes a provider. A new one whose `is_primary` is left open is primary where no other is. */
  async upsert(tx: Tx, clientId: string, write: EmailProviderWrite): Promise<EmailProviderRow> {
    const rows = await tx.query<EmailProviderRow>(
      `INSERT INTO email_providers AS p (client_id, provider_type, id, config, is_primary, is_bulk, default_from_email,
         default_from_name, created_at, updated_at)
       VALUES ($1, $2, $3, $4,
         coalesce($5, NOT EXISTS (SELECT 1 FROM email_providers WHERE client_id = $1 AND is_primary)),
         coalesce($6, false), $7, $8, now(), now())
       ON CONFLICT (client_id, provider_type) DO UPDATE SET config = excluded.config,
         is_primary = coalesce($5, p.is_primary), is_bulk = coalesce($6, p.is_bulk),
         default_from_email = excluded.default_from_email, default_from_name = excluded.default_from_name,
         updated_at = now()
       RETURNING ${COLUMNS}`,
      [
        clientId,
        write.providerType,
        write.id,
        write.config,
        write.isPrimary,
        write.isBulk,
        write.defaultFromEmail,
        write.defaultFromName,
      ],
    );
    return rows[0]!;
  }

  /** False when there is none. */
  async delete(tx: Tx, clientId: string, providerType: ProviderType): Promise<boolean> {
    const rows = await tx.query(
      'DELETE FROM email_providers WHERE client_id = $1 AND provider_type = $2 RETURNING id',
      [clientId, providerType],
    );
    return rows.length > 0;
  }
}
