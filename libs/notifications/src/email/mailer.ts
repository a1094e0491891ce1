import type { AttemptOutcome } from '#libs/jobs';

/** One mail to one recipient. */
export interface OutgoingMail {
  clientId: string;
  /** Stable over all attempts: the Message-ID is made of it, so that a receiver can spot a duplicate. */
  deliveryId: string;
  /** Number of this attempt, from 1: a later one may go to the next provider. */
  attempt: number;
  /** How many the notification goes to: two or more prefer the bulk provider. */
  recipientCount: number;
  to: string;
  cc: readonly string[];
  bcc: readonly string[];
  /** Those in copy were sent it by an earlier attempt: it is for the recipient alone. */
  copiesTaken: boolean;
  replyTo: string | null;
  fromEmail: string | null;
  fromName: string | null;
  subject: string;
  /** HTML or plain text; HTML gets a text alternative. */
  content: string;
}

/** Longest one attempt of a mailer takes. */
export const MAIL_TIMEOUT_MS = 45_000;

/** Sends mail by the client's providers; injection token and interface in one. */
export abstract class Mailer {
  /** One attempt. Failures are outcomes, not exceptions, but for a database that is away before anything is sent. */
  abstract send(mail: OutgoingMail, signal: AbortSignal): Promise<AttemptOutcome>;
}
