import type { Socket } from 'node:net';
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import { EmailFault } from '../email-faults.js';
import { renderMessage, type MailMessage } from '../mail-message.js';
import type { SmtpConfig } from '../provider-configs.js';
import { smtpFault } from '../transports/smtp-faults.js';
import { tlsHandshake } from './tls-handshake.js';

/** Name of the "login" by which nodemailer lets us say commands of our own. */
const OWN_COMMANDS = 'CHATAPI-COMMANDS';

type Say = (command: string) => Promise<{ response: string }>;

/** One conversation with a mail server, a step at a time. */
export class SmtpDialog {
  private connection: SMTPConnection | undefined;
  /** Rejects when the connection fails while nobody waits for a callback. */
  private readonly broken: Promise<never>;
  private breakOff: (error: unknown) => void = () => undefined;

  constructor(
    private readonly config: SmtpConfig,
    private socket: Socket,
    private readonly timeoutMs: number,
    private readonly ca?: string,
  ) {
    this.broken = new Promise((_, reject) => (this.breakOff = reject));
    this.broken.catch(() => undefined);
    socket.on('error', () => undefined);
  }

  /** Whether it waits for the handshake of STARTTLS. */
  get isUpgrading(): boolean {
    return this.connection?.upgrading === true;
  }

  /** TLS from the first byte. */
  async handshake(): Promise<void> {
    this.socket = await tlsHandshake(this.socket, this.config.host, this.ca);
  }

  /** Greeting, EHLO and, where configured, STARTTLS. */
  greet(): Promise<void> {
    const { host, port, security } = this.config;
    const connection = new SMTPConnection({
      host,
      port,
      connection: this.socket,
      secure: security === 'tls',
      secured: security === 'tls',
      requireTLS: security === 'starttls',
      ignoreTLS: security === 'none',
      tls: this.ca === undefined ? {} : { ca: this.ca },
      connectionTimeout: this.timeoutMs,
      greetingTimeout: this.timeoutMs,
      socketTimeout: this.timeoutMs,
      socketCloseTimeout: 0,
      customAuth: { [OWN_COMMANDS]: ({ sendCommand }) => this.own(sendCommand as Say) },
    });
    this.connection = connection;
    connection.on('error', (error) => this.breakOff(error));
    connection.once('end', () => this.breakOff(new EmailFault('EMAIL_CONNECTION_BROKEN')));
    return this.unlessBroken((done) => connection.connect(done));
  }

  /** Logs in; throws where the server offers no login. */
  async login(): Promise<void> {
    const { username, password } = this.config;
    if (username === null) return;
    const connection = this.connection!;
    if (!connection.allowsAuth) throw new EmailFault('EMAIL_AUTH_NOT_OFFERED');
    const credentials = { user: username, pass: password ?? '' };
    await this.unlessBroken((done) => connection.login({ user: username, credentials }, done));
  }

  /** Says a command and takes 2xx for a yes; an answer of another kind is thrown as nodemailer would throw it. */
  async say(command: string, verb: 'MAIL FROM' | 'RCPT TO' | 'RSET'): Promise<void> {
    const connection = this.connection!;
    const answered = new Promise<string>((resolve, reject) => {
      this.own = async (send) => resolve((await send(command)).response);
      // Settled by `own`; this only starts it.
      const credentials = { user: '-', pass: '-' };
      connection.login({ method: OWN_COMMANDS, credentials }, (error?: Error | null) => error && reject(error));
    });
    const response = await Promise.race([answered, this.broken]);
    const responseCode = Number.parseInt(response, 10);
    if (responseCode >= 200 && responseCode < 300) return;
    throw smtpFault(Object.assign(new Error('Refused'), { code: 'EENVELOPE', command: verb, response, responseCode }));
  }

  /** Sends a message. */
  async send(message: MailMessage): Promise<void> {
    const raw = await renderMessage(message);
    const connection = this.connection!;
    await this.unlessBroken((done) => connection.send({ from: message.from.address, to: [message.to] }, raw, done));
  }

  /** Hangs up. */
  close(): void {
    this.connection?.close();
    this.socket.destroy();
  }

  /** What is said instead of a login; set by {@link say}. */
  private own: (send: Say) => Promise<void> = async () => undefined;

  private unlessBroken(start: (done: (error?: Error | null) => void) => void): Promise<void> {
    const done = new Promise<void>((resolve, reject) => start((error) => (error ? reject(error) : resolve())));
    return Promise.race([done, this.broken]);
  }
}
