import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Database } from '#libs/database';
import { Scheduler } from '#libs/jobs';
import { SecretBox } from '#libs/security';

const BATCH = 500;

/** Every column whose sealed bytes outlive a day, with the primary key of its table. */
const SEALED = [
  { table: 'email_providers', column: 'config', key: ['client_id', 'provider_type'] },
  { table: 'webhook_endpoints', column: 'secret', key: ['client_id', 'id'] },
  { table: 'webhook_endpoints', column: 'previous_secret', key: ['client_id', 'id'] },
  { table: 'notification_secrets', column: 'secret', key: ['client_id'] },
] as const;

type SealedColumn = (typeof SEALED)[number];

/** After a change of ENCRYPTION_KEY, seals everything again with the first key, so that the older ones can go. */
@Injectable()
export class ResealSecretsProcessor implements OnModuleInit {
  constructor(
    private readonly scheduler: Scheduler,
    private readonly database: Database,
    private readonly box: SecretBox,
  ) {}

  onModuleInit(): void {
    this.scheduler.register({ name: 'reseal-secrets', everySeconds: 600, run: () => this.run() });
  }

  /** Every tenant's rows, in small commits. */
  async run(): Promise<void> {
    if (this.box.olderKeyIds.length === 0) return;
    for (const sealed of SEALED) while ((await this.reseal(sealed)) === BATCH);
  }

  private reseal({ table, column, key }: SealedColumn): Promise<number> {
    const keyMatches = key.map((name, index) => `${name} = $${index + 2}`).join(' AND ');
    return this.database.run(async (tx) => {
      const rows = await tx.query<Record<string, unknown> & { sealed: Buffer }>(
        `SELECT ${key.join(', ')}, ${column} AS sealed FROM ${table} WHERE substring(${column} FROM 1 FOR 4) = ANY($1)
         LIMIT ${BATCH} FOR UPDATE SKIP LOCKED`,
        [this.box.olderKeyIds],
      );
      for (const row of rows) {
        await tx.query(`UPDATE ${table} SET ${column} = $1 WHERE ${keyMatches}`, [
          this.box.seal(this.box.open(row.sealed)),
          ...key.map((name) => row[name]),
        ]);
      }
      return rows.length;
    });
  }
}
