import { domainToASCII } from 'node:url';
import MailComposer from 'nodemailer/lib/mail-composer';
import { EmailFault } from './email-faults.js';
import { htmlToText, isHtml } from './mail-text.js';
import type { OutgoingMail } from './mailer.js';

/** A mailbox with its name. */
export interface Mailbox {
  address: string;
  name: string | null;
}

/** A mail as every transport sends it. */
export interface MailMessage {
  deliveryId: string;
  from: Mailbox;
  to: string;
  cc: readonly string[];
  bcc: readonly string[];
  /** Those in copy have it already: they may be named in it, and it does not go to them. */
  copiesTaken: boolean;
  replyTo: string | null;
  subject: string;
  text: string;
  html: string | null;
  /** With angle brackets; the same for every attempt. */
  messageId: string;
}

/** Header that carries the delivery's id, for receivers whose provider replaces the Message-ID. */
export const DELIVERY_HEADER = 'X-ChatAPI-Delivery-Id';

// What would end a header, or means nothing in one.
// eslint-disable-next-line no-control-regex
const CONTROL = /[\x00-\x1f\x7f-\x9f\u2028\u2029]/;
const ADDRESS = /^[^\s<>()[\]\\,;:"@]+@[^\s<>()[\]\\,;:"@]+$/u;

/** The domain in ASCII, which every server takes; a local part beyond ASCII needs SMTPUTF8 anyway and stays as it is. */
function portable(address: string): string {
  const at = address.lastIndexOf('@');
  const [local, domain] = [address.slice(0, at), address.slice(at + 1)];
  // eslint-disable-next-line no-control-regex
  const ascii = /^[\x00-\x7f]*$/.test(local) ? domainToASCII(domain) : '';
  return ascii === '' ? address : `${local}@${ascii}`;
}

/** Each address once, and none that is among the known ones: providers refuse a mail that names an address twice. */
function others(addresses: readonly string[], known: readonly string[]): string[] {
  const seen = new Set(known.map((address) => address.toLowerCase()));
  return addresses.map(portable).filter((address) => {
    const isNew = !seen.has(address.toLowerCase());
    seen.add(address.toLowerCase());
    return isNew;
  });
}

/** A mailbox as mail headers write it. */
export function formatMailbox({ name, address }: Mailbox): string {
  return name === null || name === '' ? address : `"${name.replace(/["\\]/g, '\\$&')}" <${address}>`;
}

/** Writes the mail once for whatever carries it; throws {@link EmailFault} when it would not be one. */
export function composeMessage(mail: OutgoingMail, from: Mailbox, idHost: string): MailMessage {
  const addresses = [from.address, mail.to, ...mail.cc, ...mail.bcc, ...(mail.replyTo === null ? [] : [mail.replyTo])];
  const usable =
    addresses.every((address) => address.length <= 254 && !CONTROL.test(address) && ADDRESS.test(address)) &&
    !CONTROL.test(mail.subject) &&
    !CONTROL.test(from.name ?? '') &&
    [...addresses, mail.subject, from.name ?? '', mail.content].every((text) => text.isWellFormed());
  if (!usable) throw new EmailFault('EMAIL_INVALID');
  const html = isHtml(mail.content);
  const to = portable(mail.to);
  const cc = others(mail.cc, [to]);
  return {
    deliveryId: mail.deliveryId,
    from: { address: portable(from.address), name: from.name },
    to,
    cc,
    bcc: others(mail.bcc, [to, ...cc]),
    copiesTaken: mail.copiesTaken,
    replyTo: mail.replyTo === null ? null : portable(mail.replyTo),
    subject: mail.subject,
    text: html ? htmlToText(mail.content) : mail.content,
    html: html ? mail.content : null,
    messageId: `<${mail.deliveryId}@${idHost}>`,
  };
}

/** The message as RFC 5322 text. Bcc is not in it: that is what the envelope is for. */
export function renderMessage(message: MailMessage): Promise<Buffer> {
  const { from } = message;
  return new MailComposer({
    from: { name: from.name ?? '', address: from.address },
    to: { name: '', address: message.to },
    cc: message.cc.map((address) => ({ name: '', address })),
    replyTo: message.replyTo === null ? undefined : { name: '', address: message.replyTo },
    subject: message.subject,
    text: message.text,
    html: message.html ?? undefined,
    messageId: message.messageId,
    date: new Date(),
    headers: { [DELIVERY_HEADER]: message.deliveryId },
    newline: '\r\n',
    disableFileAccess: true,
    disableUrlAccess: true,
  })
    .compile()
    .build();
}
