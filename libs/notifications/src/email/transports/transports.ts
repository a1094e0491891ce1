import { Injectable } from '@nestjs/common';
import { EgressGuard } from '#libs/egress';
import { EmailFault } from '../email-faults.js';
import type { MailMessage } from '../mail-message.js';
import type { EmailProvider, ProviderType } from '../provider-configs.js';
import type { MailReceipt, MailTransport } from './mail-transport.js';
import { SmtpPools } from './smtp-pools.js';
import { poolName, SmtpTransport } from './smtp.transport.js';

/** The transport of each kind of provider. */
@Injectable()
export class Transports {
  readonly smtp: SmtpTransport;
  private readonly pools = new SmtpPools();
  private readonly byType: Partial<Record<ProviderType, MailTransport>>;

  constructor(guard: EgressGuard) {
    this.smtp = new SmtpTransport(this.pools, guard);
    this.byType = { smtp: this.smtp };
  }

  /** Hands a message to a provider. Throws {@link EmailFault}. */
  async send(
    clientId: string,
    provider: EmailProvider,
    message: MailMessage,
    signal: AbortSignal,
  ): Promise<MailReceipt> {
    if (!provider.config) throw new EmailFault('EMAIL_SECRET_UNREADABLE');
    return this.byType[provider.type]!.send(clientId, provider, message, signal);
  }

  /** Ends what is kept for a client's provider that has changed or gone. */
  forget(clientId: string): void {
    this.pools.drop(poolName(clientId));
  }

  /** Ends every kept connection. */
  close(): void {
    this.pools.close();
  }
}
