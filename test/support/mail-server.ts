import type { AddressInfo } from 'node:net';
import PostalMime, { type Email } from 'postal-mime';
import { SMTPServer, type SMTPServerOptions, type SMTPServerSession } from 'smtp-server';

/** A mail the server took. */
export interface TakenMail {
  envelope: { from: string; to: string[] };
  raw: string;
  mail: Email;
  session: SMTPServerSession;
}

/** A mail server on loopback. */
export interface MailServer {
  host: string;
  port: number;
  /** In the order they were taken. */
  taken: TakenMail[];
  /** Connections so far. */
  connections: number;
  close(): Promise<void>;
}

/** An SMTP refusal as smtp-server wants it. */
export function refusal(code: number, text = 'no'): Error {
  return Object.assign(new Error(text), { responseCode: code });
}

/** Starts a mail server on a free port of 127.0.0.1. Without options it takes everything, unencrypted, from anybody. */
export async function startMailServer(options: SMTPServerOptions = {}): Promise<MailServer> {
  const result: MailServer = { host: '127.0.0.1', port: 0, taken: [], connections: 0, close: async () => undefined };
  const server = new SMTPServer({
    authOptional: options.onAuth === undefined,
    disabledCommands: options.secure || options.cert ? [] : ['STARTTLS'],
    allowInsecureAuth: true,
    closeTimeout: 100,
    logger: false,
    onData: (stream, session, callback) => {
      const parts: Buffer[] = [];
      stream.on('data', (part: Buffer) => parts.push(part));
      stream.on('end', () => {
        const raw = Buffer.concat(parts);
        const { mailFrom, rcptTo } = session.envelope;
        const envelope = { from: mailFrom ? mailFrom.address : '', to: rcptTo.map((one) => one.address) };
        PostalMime.parse(raw).then((mail) => {
          result.taken.push({ envelope, raw: raw.toString('latin1'), mail, session });
          callback(null, `queued as ${result.taken.length}-ABC`);
        }, callback);
      });
    },
    ...options,
    onConnect: (session, callback) => {
      result.connections++;
      if (options.onConnect) options.onConnect(session, callback);
      else callback();
    },
  });
  server.on('error', () => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  result.port = (server.server.address() as AddressInfo).port;
  result.close = () => new Promise((resolve) => server.close(() => resolve()));
  return result;
}
