/** The mail server of a benchmark, a process of its own: takes everything, notes when, and tells by IPC when asked. */
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';

/** Mails that came since the last report. */
export interface MailSinkReport {
  arrivals: { at: number }[];
}

let arrivals: MailSinkReport['arrivals'] = [];
const server = new SMTPServer({
  disabledCommands: ['AUTH', 'STARTTLS'],
  logger: false,
  onData: (stream, _session, callback) => {
    stream.resume();
    stream.on('end', () => {
      arrivals.push({ at: Date.now() });
      callback();
    });
  },
});
server.on('error', () => undefined);
process.on('message', () => {
  process.send!({ arrivals });
  arrivals = [];
});
process.on('disconnect', () => process.exit(0));
server.listen(0, '127.0.0.1', () => {
  process.send!(`smtp://127.0.0.1:${(server.server.address() as AddressInfo).port}`);
});
