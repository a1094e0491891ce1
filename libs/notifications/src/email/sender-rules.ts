import { EmailFault } from './email-faults.js';
import type { Mailbox } from './mail-message.js';
import type { OutgoingMail } from './mailer.js';

/** The sender a provider sends as when the mail names none. */
export interface DefaultSender {
  defaultFromEmail: string;
  defaultFromName: string | null;
}

const domainOf = (address: string): string => {
  const domain = address.slice(address.lastIndexOf('@') + 1).toLowerCase();
  return URL.canParse(`http://${domain}/`) ? new URL(`http://${domain}/`).hostname : domain;
};

/** Whether a provider may send from an address: any of the domain of its own default sender. */
export function maySendFrom(sender: DefaultSender, fromEmail: string | null): boolean {
  return fromEmail === null || domainOf(fromEmail) === domainOf(sender.defaultFromEmail);
}

/** Who a mail is from; throws {@link EmailFault} when the provider may not send as that. */
export function senderOf(mail: Pick<OutgoingMail, 'fromEmail' | 'fromName'>, sender: DefaultSender): Mailbox {
  if (!maySendFrom(sender, mail.fromEmail)) throw new EmailFault('EMAIL_SENDER_NOT_ALLOWED');
  return {
    address: mail.fromEmail ?? sender.defaultFromEmail,
    name: mail.fromName ?? sender.defaultFromName,
  };
}
