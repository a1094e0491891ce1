import { Injectable } from '@nestjs/common';
import { EgressGuard, EgressHttp } from '#libs/egress';
import { EmailFault } from '../email-faults.js';
import type { MailMessage } from '../mail-message.js';
import type { EmailProvider } from '../provider-configs.js';
import { HttpTransport } from './http.transport.js';
import type { MailReceipt } from './mail-transport.js';
import { SmtpPools } from './smtp-pools.js';
import { poolName, SmtpTransport } from './smtp.transport.js';

/** The transport of each kind of provider. */
@Injectable()
export class Transports {
  readonly smtp: SmtpTransport;
  readonly http: HttpTransport;
  private readonly pools = new SmtpPools();

  constructor(guard: EgressGuard, http: EgressHttp) {
    this.smtp = new SmtpTransport(this.pools, guard);
    this.http = new HttpTransport(http);
  }

  /** Hands a message to a provider. Throws {@link EmailFault}. */
  async send(
    clientId: string,
    provider: EmailProvider,
    message: MailMessage,
    signal: AbortSignal,
  ): Promise<MailReceipt> {
    if (!provider.config) throw new EmailFault('EMAIL_SECRET_UNREADABLE');
    const transport = provider.type === 'smtp' ? this.smtp : this.http;
    return transport.send(clientId, provider, message, signal);
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
