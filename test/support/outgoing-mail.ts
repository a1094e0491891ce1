import { randomUUID } from 'node:crypto';
import type { OutgoingMail } from '#libs/notifications';

/** A mail to one recipient, as an attempt hands it to a mailer. */
export function aMail(fields: Partial<OutgoingMail> = {}): OutgoingMail {
  return {
    clientId: randomUUID(),
    deliveryId: randomUUID(),
    attempt: 1,
    recipientCount: 1,
    to: 'user@example.com',
    cc: [],
    bcc: [],
    copiesTaken: false,
    replyTo: null,
    fromEmail: null,
    fromName: null,
    subject: 'Welcome!',
    content: '<h1>Welcome to our platform!</h1>',
    ...fields,
  };
}
