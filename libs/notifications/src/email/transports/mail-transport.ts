import type { EmailProvider } from '../provider-configs.js';
import type { MailMessage } from '../mail-message.js';

/** What a provider said of a mail it took. */
export interface MailReceipt {
  /** The provider's own id of the message. */
  providerMessageId?: string;
  /** SMTP reply or HTTP status. */
  statusCode?: number;
}

/** Hands a message to one kind of provider. Throws {@link EmailFault}. */
export interface MailTransport {
  send(clientId: string, provider: EmailProvider, message: MailMessage, signal: AbortSignal): Promise<MailReceipt>;
}
