import { Inject, Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { join } from 'node:path';
import { CONFIG, type Config } from '#libs/config';
import { isDatabaseAway } from '#libs/database';
import type { AttemptOutcome } from '#libs/jobs';
import { EmailFault, failedOutcome } from './email-faults.js';
import { composeMessage, type MailMessage } from './mail-message.js';
import { Mailer, MAIL_TIMEOUT_MS, type OutgoingMail } from './mailer.js';
import type { EmailProvider } from './provider-configs.js';
import { ProviderDirectory } from './provider-directory.js';
import { maySendFrom, senderOf } from './sender-rules.js';
import { readMailUrl, type ServerMail } from './server-mail.js';
import { MailFolder } from './transports/mail-folder.js';
import type { MailReceipt } from './transports/mail-transport.js';
import { Transports } from './transports/transports.js';

const SERVER_POOL = 'server';

/** Sends by the client's providers; without any, by the server's own mail server or, embedded, into a folder. */
@Injectable()
export class ProviderMailer extends Mailer implements OnApplicationShutdown {
  private readonly logger = new Logger('Mailer');
  private readonly server: ServerMail | undefined;
  private readonly folder: MailFolder | undefined;
  private readonly idHost: string;

  constructor(
    private readonly directory: ProviderDirectory,
    private readonly transports: Transports,
    @Inject(CONFIG) config: Config,
  ) {
    super();
    this.idHost = new URL(config.publicUrl).hostname.replace(/[[\]]/g, '');
    this.server = config.mailUrl === undefined ? undefined : readMailUrl(config.mailUrl, config.publicUrl);
    this.folder = config.databaseUrl === undefined ? new MailFolder(join(config.dataDir, 'mail')) : undefined;
  }

  async send(mail: OutgoingMail, stop: AbortSignal): Promise<AttemptOutcome> {
    const signal = AbortSignal.any([stop, AbortSignal.timeout(MAIL_TIMEOUT_MS)]);
    let name: string | undefined;
    let others = false;
    try {
      const configured = await this.directory.of(mail.clientId);
      if (configured.length === 0) return await this.sendByServer(mail, signal);
      const candidates = inOrder(configured, mail.recipientCount).filter((one) => maySendFrom(one, mail.fromEmail));
      if (candidates.length === 0) throw new EmailFault('EMAIL_SENDER_NOT_ALLOWED');
      const provider = candidates[(mail.attempt - 1) % candidates.length]!;
      name = provider.type;
      others = candidates.length > 1;
      return sent(name, await this.transports.send(mail.clientId, provider, this.compose(mail, provider), signal));
    } catch (error) {
      if (isDatabaseAway(error)) throw error;
      return this.failed(error, name, others);
    }
  }

  onApplicationShutdown(): void {
    this.transports.close();
  }

  private async sendByServer(mail: OutgoingMail, signal: AbortSignal): Promise<AttemptOutcome> {
    const { server, folder } = this;
    if (server) {
      try {
        const message = this.compose(mail, server);
        return sent(
          SERVER_POOL,
          await this.transports.smtp.sendTo(SERVER_POOL, '', () => server.target, message, signal),
        );
      } catch (error) {
        return this.failed(error, SERVER_POOL, false);
      }
    }
    if (!folder) throw new EmailFault('EMAIL_PROVIDER_NOT_CONFIGURED');
    const from = { address: mail.fromEmail ?? 'no-reply@localhost', name: mail.fromName };
    return sent('file', await folder.keep(composeMessage(mail, from, this.idHost)));
  }

  private compose(mail: OutgoingMail, sender: ServerMail | EmailProvider): MailMessage {
    return composeMessage(mail, senderOf(mail, sender), this.idHost);
  }

  private failed(error: unknown, name: string | undefined, others: boolean): AttemptOutcome {
    if (error instanceof EmailFault) return failedOutcome(error, name, others);
    this.logger.error(`A mail could not be sent: ${error instanceof Error ? error.name : 'unknown'}`);
    return failedOutcome(new EmailFault('EMAIL_PROVIDER_UNAVAILABLE'), name, others);
  }
}

function sent(providerName: string, { providerMessageId, statusCode }: MailReceipt): AttemptOutcome {
  return { result: 'sent', providerName, providerMessageId: providerMessageId?.slice(0, 255), statusCode };
}

/** One recipient: the primary first. Two or more: the bulk provider, then the primary. Then the others, oldest first. */
function inOrder(providers: EmailProvider[], recipientCount: number): EmailProvider[] {
  const rank = (one: EmailProvider): number => (recipientCount > 1 && one.isBulk ? 0 : one.isPrimary ? 1 : 2);
  return [...providers].sort((a, b) => rank(a) - rank(b));
}
