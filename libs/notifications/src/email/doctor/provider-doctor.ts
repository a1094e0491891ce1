import { Injectable } from '@nestjs/common';
import { connectPinned, EgressGuard } from '#libs/egress';
import { EmailFault, type EmailFaultCode } from '../email-faults.js';
import { composeMessage, type MailMessage } from '../mail-message.js';
import type { EmailProvider, ProviderConfig, SmtpConfig } from '../provider-configs.js';
import { apiOf } from '../transports/http.transport.js';
import { Transports } from '../transports/transports.js';
import { STEP_TIMEOUT_MS, StepLog, type DoctorStep, type Examination } from './doctor-steps.js';
import { SmtpDialog } from './smtp-dialog.js';
import { tlsHandshake } from './tls-handshake.js';

const TLS_FAULTS: readonly EmailFaultCode[] = [
  'EMAIL_STARTTLS_NOT_OFFERED',
  'EMAIL_TLS_FAILED',
  'EMAIL_CERTIFICATE_UNTRUSTED',
  'EMAIL_CERTIFICATE_EXPIRED',
  'EMAIL_CERTIFICATE_NAME_MISMATCH',
];

/** What is examined, and the message that is sent where a recipient for it is given. */
export interface Patient {
  provider: Pick<EmailProvider, 'config' | 'type' | 'defaultFromEmail' | 'defaultFromName'>;
  testRecipient: string | undefined;
}

/** Tries a provider step by step and says which step fails, and how. Everything is bounded in time. */
@Injectable()
export class ProviderDoctor {
  constructor(
    private readonly guard: EgressGuard,
    private readonly transports: Transports,
  ) {}

  /** Examines a provider. What it finds is the answer; it does not throw. */
  async examine(patient: Patient, options: { timeoutMs?: number; ca?: string } = {}): Promise<Examination> {
    const { config } = patient.provider;
    const timeoutMs = options.timeoutMs ?? STEP_TIMEOUT_MS;
    const log = new StepLog(timeoutMs);
    return log.run(async () => {
      if (!config) await log.step('auth', '', () => Promise.reject(new EmailFault('EMAIL_SECRET_UNREADABLE')));
      else if (config.provider_type === 'smtp') await this.smtp(log, config, patient, timeoutMs, options.ca);
      else await this.http(log, config, patient, timeoutMs);
    });
  }

  private async smtp(
    log: StepLog,
    config: SmtpConfig,
    patient: Patient,
    timeoutMs: number,
    ca: string | undefined,
  ): Promise<void> {
    await this.reach(log, () => this.guard.resolve(config.host));
    const { security } = config;
    const connected = 'The server takes connections';
    let dialog: SmtpDialog | undefined;
    try {
      const open = async (): Promise<SmtpDialog> => {
        dialog = new SmtpDialog(
          config,
          await connectPinned(this.guard, config.host, config.port, timeoutMs),
          // Ends before the step does, so that it can say what it was waiting for.
          timeoutMs * 0.8,
          ca,
        );
        if (security !== 'tls') await dialog.greet();
        return dialog;
      };
      const server = await log.step('connect', connected, open, (fault, error) =>
        dialog?.isUpgrading || isOfTls(fault, error) ? 'tls' : 'connect',
      );
      if (security === 'tls') {
        await log.step('tls', 'Encrypted, with a trusted certificate', async () => {
          await server.handshake();
          await server.greet();
        });
      } else log.passed('tls', security === 'none' ? 'Not encrypted, as configured' : 'Encrypted by STARTTLS');
      const login = config.username === null ? 'No login is configured' : 'The login was accepted';
      await log.step('auth', login, () => server.login());
      await this.talk(log, server, patient);
    } finally {
      dialog?.close();
    }
  }

  private async talk(log: StepLog, server: SmtpDialog, patient: Patient): Promise<void> {
    const message = testMessage(patient);
    const extension = /^[\x20-\x7e]*$/.test(message.from.address + message.to) ? '' : ' SMTPUTF8';
    await log.step('sender', 'The sender is accepted', () =>
      server.say(`MAIL FROM:<${message.from.address}>${extension}`, 'MAIL FROM'),
    );
    if (patient.testRecipient !== undefined) {
      await log.step('recipient', 'The recipient is accepted', () => server.say(`RCPT TO:<${message.to}>`, 'RCPT TO'));
      await log.step('send', 'A test mail was sent', async () => {
        await server.say('RSET', 'RSET');
        await server.send(message);
      });
    }
  }

  private async http(log: StepLog, config: ProviderConfig, patient: Patient, timeoutMs: number): Promise<void> {
    const url = new URL((await apiOf(config).probe(config)).url);
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const secure = url.protocol === 'https:';
    const port = url.port === '' ? (secure ? 443 : 80) : Number(url.port);
    await this.reach(log, () => this.guard.check(url.href));
    const open = () => connectPinned(this.guard, host, port, timeoutMs);
    const socket = await log.step('connect', 'The API takes connections', open);
    try {
      if (secure) await log.step('tls', 'Encrypted, with a trusted certificate', () => tlsHandshake(socket, host));
      else log.passed('tls', 'Not encrypted, as configured');
    } finally {
      socket.destroy();
    }
    await log.step('auth', 'The credentials were accepted', () => this.transports.http.probe(config, timeoutMs));
    const { testRecipient, provider } = patient;
    if (testRecipient === undefined) return;
    const send = () =>
      this.transports.http.send('', { ...provider, ...UNUSED }, testMessage(patient), AbortSignal.timeout(timeoutMs));
    await log.step('send', 'A test mail was handed over', send, blameParty);
  }

  private reach(log: StepLog, resolve: () => Promise<unknown>): Promise<unknown> {
    return log.step('dns', 'The host resolves to addresses that may be reached', resolve);
  }
}

/** What sending does not look at. */
const UNUSED = { isPrimary: false, isBulk: false, version: '' };

/** With STARTTLS, connecting and encrypting are one conversation: its fault says which of them failed. */
function isOfTls(fault: EmailFault, error: unknown): boolean {
  return (error as { timeoutType?: string }).timeoutType === 'UPGRADE_TIMEOUT' || TLS_FAULTS.includes(fault.code);
}

function blameParty(fault: EmailFault): DoctorStep {
  if (fault.code === 'EMAIL_SENDER_REFUSED') return 'sender';
  return fault.code === 'EMAIL_RECIPIENT_REFUSED' ? 'recipient' : 'send';
}

function testMessage({ provider, testRecipient }: Patient): MailMessage {
  const id = crypto.randomUUID();
  const mail = {
    clientId: '',
    deliveryId: id,
    attempt: 1,
    recipientCount: 1,
    to: testRecipient ?? provider.defaultFromEmail,
    cc: [],
    bcc: [],
    copiesTaken: false,
    replyTo: null,
    fromEmail: null,
    fromName: null,
    subject: 'Test of your email provider',
    content: 'This mail was sent because somebody asked ChatAPI to test this email provider. It works.\n',
  };
  const from = { address: provider.defaultFromEmail, name: provider.defaultFromName };
  return composeMessage(mail, from, 'test.chatapi.invalid');
}
