import type { EgressGuard } from '#libs/egress';
import { EmailFault } from '../email-faults.js';
import { renderMessage, type MailMessage } from '../mail-message.js';
import type { EmailProvider, SmtpConfig } from '../provider-configs.js';
import type { MailReceipt, MailTransport } from './mail-transport.js';
import { smtpFault, type SmtpError } from './smtp-faults.js';
import type { SmtpPools, SmtpTarget } from './smtp-pools.js';

/** Sends over kept connections to a mail server. */
export class SmtpTransport implements MailTransport {
  constructor(
    private readonly pools: SmtpPools,
    private readonly guard: EgressGuard,
  ) {}

  send(clientId: string, provider: EmailProvider, message: MailMessage, signal: AbortSignal): Promise<MailReceipt> {
    const config = provider.config as SmtpConfig;
    return this.sendTo(poolName(clientId), provider.version, () => ({ ...config, guard: this.guard }), message, signal);
  }

  /** Sends through the pool of that name, made for the target where there is none. */
  async sendTo(
    pool: string,
    version: string,
    target: () => SmtpTarget,
    message: MailMessage,
    signal: AbortSignal,
  ): Promise<MailReceipt> {
    try {
      const raw = await renderMessage(message);
      const copies = message.copiesTaken ? [] : [...message.cc, ...message.bcc];
      const envelope = { from: message.from.address, to: [message.to, ...copies] };
      const info = await this.pools.of(pool, version, target).sendMail({ raw, envelope, signal });
      const providerMessageId = queueId(info.response);
      // Where those in copy took it, nodemailer counts it as sent; this delivery is about the recipient.
      const refusal = rejectionOf(info.rejectedErrors ?? [], message.to);
      if (refusal) {
        const copiesTakenAs = providerMessageId ?? message.messageId;
        throw new EmailFault(refusal.code, { ...refusal.details, copiesTakenAs });
      }
      const statusCode = Number.parseInt(info.response, 10);
      return { providerMessageId, statusCode: statusCode || undefined };
    } catch (error) {
      throw smtpFault(error);
    }
  }
}

/** Name of a client's pool. */
export function poolName(clientId: string): string {
  return `${clientId}:smtp`;
}

function rejectionOf(errors: readonly (Error & { recipient?: string })[], to: string): EmailFault | undefined {
  const own = errors.find((error) => error.recipient?.toLowerCase() === to.toLowerCase());
  return own && smtpFault(Object.assign(own, { command: 'RCPT TO' }) as SmtpError);
}

/** The id under which the server queued the mail, where its answer names one in a usual way. */
function queueId(response: string): string | undefined {
  return /\b(?:queued as|id=|queue id:?|message accepted:?)\s*([\w.@<>-]{4,200})/i.exec(response)?.[1];
}
