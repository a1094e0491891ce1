import { Injectable } from '@nestjs/common';
import { Database } from '#libs/database';
import { newSigningSecret } from '#libs/egress';
import { SecretBox, type Principal } from '#libs/security';
import type { NotificationSecretDto } from './notification-inbox.dto.js';

interface SecretRow {
  secret: Buffer;
  created_at: Date;
}

/** The secret that signs a client's notification webhooks: one per client, made when it is first needed, sealed. */
@Injectable()
export class NotificationSecrets {
  constructor(
    private readonly database: Database,
    private readonly box: SecretBox,
  ) {}

  /** The caller's secret. */
  async show(caller: Principal): Promise<NotificationSecretDto> {
    const { secret, createdAt } = await this.get(caller.clientId);
    return { secret, created_at: createdAt.toISOString() };
  }

  /** The client's secret; whoever asks first makes it, and the primary key decides who that is. */
  async get(clientId: string): Promise<{ secret: string; createdAt: Date }> {
    const row = (await this.find(clientId)) ?? (await this.make(clientId));
    return { secret: this.box.open(row.secret), createdAt: row.created_at };
  }

  private async find(clientId: string): Promise<SecretRow | undefined> {
    const [row] = await this.database.query<SecretRow>(
      'SELECT secret, created_at FROM notification_secrets WHERE client_id = $1',
      [clientId],
    );
    return row;
  }

  private async make(clientId: string): Promise<SecretRow> {
    await this.database.query(
      `INSERT INTO notification_secrets (client_id, secret, created_at) VALUES ($1, $2, now())
       ON CONFLICT (client_id) DO NOTHING`,
      [clientId, this.box.seal(newSigningSecret())],
    );
    return (await this.find(clientId))!;
  }
}
