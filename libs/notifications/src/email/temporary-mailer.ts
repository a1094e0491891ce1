import { Inject, Injectable } from '@nestjs/common';
import { createTransport } from 'nodemailer';
import { CONFIG, type Config } from '#libs/config';
import type { AttemptOutcome } from '#libs/jobs';
import { Mailer, type OutgoingMail } from './mailer.js';

/** Sends by MAIL_URL only; the providers of a client replace it. */
@Injectable()
export class TemporaryMailer extends Mailer {
  private readonly transport;
  constructor(@Inject(CONFIG) config: Config) {
    super();
    this.transport = createTransport({
      url: config.mailUrl ?? 'smtp://127.0.0.1:1',
      pool: true,
      maxConnections: 10,
      maxMessages: Infinity,
    } as never);
  }
  async send(mail: OutgoingMail): Promise<AttemptOutcome> {
    try {
      const info = (await this.transport.sendMail({
        from: 'a@example.com',
        to: mail.to,
        cc: [...mail.cc],
        bcc: [...mail.bcc],
        subject: mail.subject,
        html: mail.content,
        messageId: `<${mail.deliveryId}@example.com>`,
        replyTo: mail.replyTo ?? undefined,
      } as never)) as { messageId: string };
      return { result: 'sent', providerName: 'server', providerMessageId: info.messageId };
    } catch (error) {
      const code = (error as { responseCode?: number }).responseCode ?? 0;
      return {
        result: code >= 500 ? 'failed' : 'retry',
        errorCode: code >= 500 ? 'SMTP_REFUSED' : 'SMTP_FAILED',
        error: 'x',
        providerName: 'server',
      };
    }
  }
}
