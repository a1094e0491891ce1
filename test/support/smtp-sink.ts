import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import PostalMime, { type Email } from 'postal-mime';
import { SMTPServer } from 'smtp-server';

/** A mail the sink has accepted. */
export interface SunkMail {
  to: string[];
  raw: string;
  /** Unix milliseconds when its connection was made. */
  connectedAt: number;
  /** Unix milliseconds when its last byte was there. */
  at: number;
  /** Unix milliseconds of the 250. */
  answeredAt?: number;
}

/** What the sink does to a recipient: nothing (it takes the mail), or answers with this code. */
export type Verdict = number | undefined;

/** A local mail server that keeps what it takes, and refuses whom it is told to. */
export class SmtpSink {
  readonly mails: SunkMail[] = [];
  /** Asked for each RCPT. */
  verdict: (address: string) => Verdict = () => undefined;
  /** Awaited before the 250 of a mail. */
  beforeAccept: (() => Promise<void>) | undefined;
  private readonly server: SMTPServer;
  private readonly connectedAt = new Map<string, number>();

  constructor() {
    this.server = new SMTPServer({
      disabledCommands: ['AUTH', 'STARTTLS'],
      logger: false,
      closeTimeout: 100,
      onConnect: (session, callback) => {
        this.connectedAt.set(session.id, Date.now());
        callback();
      },
      onRcptTo: ({ address }, _session, callback) => {
        const code = this.verdict(address);
        callback(code === undefined ? null : Object.assign(new Error('refused'), { responseCode: code }));
      },
      onData: (stream, session, callback) => {
        const parts: Buffer[] = [];
        const connectedAt = this.connectedAt.get(session.id)!;
        stream.on('data', (part: Buffer) => parts.push(part));
        stream.on('end', () => {
          const to = session.envelope.rcptTo.map(({ address }) => address);
          const raw = Buffer.concat(parts).toString();
          const mail: SunkMail = { to, raw, connectedAt, at: Date.now() };
          this.mails.push(mail);
          const accept = (): void => {
            mail.answeredAt = Date.now();
            callback();
          };
          if (this.beforeAccept) void this.beforeAccept().then(accept);
          else accept();
        });
      },
    });
    this.server.on('error', () => undefined);
  }

  /** Listens; answers the URL. */
  async start(): Promise<string> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server.server, 'listening');
    return `smtp://127.0.0.1:${(this.server.server.address() as AddressInfo).port}`;
  }

  stop(): Promise<void> {
    return new Promise((resolve) => this.server.close(() => resolve()));
  }

  /** What was taken for an address. */
  to(address: string): SunkMail[] {
    return this.mails.filter((mail) => mail.to.includes(address));
  }

  /** The only mail to an address, parsed. */
  async parsed(address: string): Promise<Email> {
    const [mail] = this.to(address);
    if (!mail) throw new Error(`no mail to ${address}`);
    return PostalMime.parse(mail.raw);
  }
}
