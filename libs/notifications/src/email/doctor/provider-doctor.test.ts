import assert from 'node:assert/strict';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import type { SMTPServerOptions } from 'smtp-server';
import { NameResolver, PinnedHttp, ResolvingGuard } from '#libs/egress';
import { aCertificate } from '../../../../../test/support/certificates.js';
import { startHttpFake, type FakeAnswer } from '../../../../../test/support/http-fake.js';
import { refusal, startMailServer, type MailServer } from '../../../../../test/support/mail-server.js';
import type { EmailFaultCode } from '../email-faults.js';
import type { ProviderConfig, SmtpConfig } from '../provider-configs.js';
import { Transports } from '../transports/transports.js';
import type { DoctorStep, Examination } from './doctor-steps.js';
import { ProviderDoctor } from './provider-doctor.js';

const PASSWORD = 'planted-secret-6f1c';
const TIMEOUT_MS = 1_500;
const cleanUps: (() => unknown)[] = [];
after(async () => {
  for (const cleanUp of cleanUps.reverse()) await cleanUp();
});

async function aServer(options: SMTPServerOptions = {}): Promise<MailServer> {
  const server = await startMailServer(options);
  cleanUps.push(() => server.close());
  return server;
}

async function tcp(onSocket: (socket: Socket) => void): Promise<{ port: number }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanUps.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port };
}

/** A server that answers as told, line by line; without an answer it hangs. */
function scripted(answers: [RegExp, string][], greeting = '220 ready'): Promise<{ port: number }> {
  return tcp((socket) => {
    if (greeting !== '') socket.write(`${greeting}\r\n`);
    socket.on('data', (data) => {
      const line = data.toString('latin1');
      const answer = answers.find(([pattern]) => pattern.test(line))?.[1];
      if (answer) socket.write(`${answer}\r\n`);
    });
  });
}

function aDoctor(allowed = ['127.0.0.0/8']): ProviderDoctor {
  const guard = new ResolvingGuard(
    { production: false, egressAllowedCidrs: allowed },
    new NameResolver(['127.0.0.1:9']),
  );
  const http = new PinnedHttp(guard);
  const transports = new Transports(guard, http);
  cleanUps.push(
    () => http.close(),
    () => transports.close(),
  );
  return new ProviderDoctor(guard, transports);
}

const doctor = aDoctor();

function examine(config: ProviderConfig, testRecipient?: string, ca?: string, by = doctor): Promise<Examination> {
  const provider = {
    config,
    type: config.provider_type,
    defaultFromEmail: 'support@acme.example',
    defaultFromName: 'Acme',
  };
  return by.examine({ provider, testRecipient }, { timeoutMs: TIMEOUT_MS, ca });
}

const smtp = (server: { port: number }, fields: Partial<SmtpConfig> = {}): SmtpConfig => ({
  provider_type: 'smtp',
  host: 'localhost',
  port: server.port,
  username: null,
  password: null,
  security: 'none',
  ...fields,
});

const login = { username: 'acme', password: PASSWORD };
const onAuth: SMTPServerOptions['onAuth'] = (auth, _, callback) =>
  auth.password === PASSWORD ? callback(null, { user: 'acme' }) : callback(refusal(535, `no ${auth.password}`));

function assertFails(examination: Examination, step: DoctorStep, code: EmailFaultCode): void {
  const last = examination.steps.at(-1)!;
  assert.deepEqual([last.step, last.ok, last.error_code], [step, false, code], JSON.stringify(examination));
  assert.equal(examination.valid, false);
  assert.ok(last.detail.length > 5);
  for (const before of examination.steps.slice(0, -1)) {
    assert.deepEqual([before.ok, before.error_code], [true, null], JSON.stringify(examination));
  }
  assert.doesNotMatch(JSON.stringify(examination), /planted|acme|example|127\.0/);
}

describe('ProviderDoctor, a mail server', () => {
  it('finds a good one good, however it is encrypted, and sends a mail where it is asked to', async () => {
    const certificate = aCertificate(['localhost']);
    for (const security of ['tls', 'starttls', 'none'] as const) {
      const server = await aServer({ ...(security === 'none' ? {} : certificate), secure: security === 'tls', onAuth });
      const config = smtp(server, { security, ...login });
      const steps = ['dns', 'connect', 'tls', 'auth', 'sender'];
      const quiet = await examine(config, undefined, certificate.cert);
      assert.deepEqual(
        quiet.steps.map(({ step }) => step),
        steps,
      );
      assert.equal(quiet.valid, true, JSON.stringify(quiet));
      assert.equal(server.taken.length, 0, 'nothing is sent unless asked for');
      const loud = await examine(config, 'someone@example.com', certificate.cert);
      assert.equal(loud.valid, true, JSON.stringify(loud));
      assert.deepEqual(
        loud.steps.map(({ step }) => step),
        [...steps, 'recipient', 'send'],
      );
      assert.deepEqual(server.taken[0]!.envelope, { from: 'support@acme.example', to: ['someone@example.com'] });
      assert.equal(server.taken.length, 1);
    }
  });

  it('unknown host, address that is not public, refused port', async () => {
    const server = await aServer();
    assertFails(await examine(smtp(server, { host: 'nobody.example' })), 'dns', 'EMAIL_HOST_UNKNOWN');
    const closed = aDoctor([]);
    for (const host of ['localhost', '127.0.0.1', '0x7f.1', '::1']) {
      assertFails(await examine(smtp(server, { host }), undefined, undefined, closed), 'dns', 'EMAIL_TARGET_REFUSED');
    }
    assert.equal(server.connections, 0);
    const gone = createServer();
    await new Promise<void>((resolve) => gone.listen(0, '127.0.0.1', resolve));
    const { port } = gone.address() as AddressInfo;
    await new Promise((resolve) => gone.close(resolve));
    for (const security of ['none', 'starttls', 'tls'] as const) {
      assertFails(await examine(smtp({ port }, { security })), 'connect', 'EMAIL_CONNECT_FAILED');
    }
  });

  it('no STARTTLS, no TLS, and certificates: untrusted, expired, of another host', async () => {
    const plain = await aServer();
    assertFails(await examine(smtp(plain, { security: 'starttls' })), 'tls', 'EMAIL_STARTTLS_NOT_OFFERED');
    assertFails(await examine(smtp(plain, { security: 'tls' })), 'tls', 'EMAIL_TLS_FAILED');
    const [good, expired, other] = [
      aCertificate(['localhost']),
      aCertificate(['localhost'], -1),
      aCertificate(['other.example']),
    ];
    for (const security of ['tls', 'starttls'] as const) {
      const at = async (certificate: typeof good) =>
        smtp(await aServer({ ...certificate, secure: security === 'tls' }), { security });
      assertFails(await examine(await at(good)), 'tls', 'EMAIL_CERTIFICATE_UNTRUSTED');
      assertFails(await examine(await at(expired), undefined, expired.cert), 'tls', 'EMAIL_CERTIFICATE_EXPIRED');
      assertFails(await examine(await at(other), undefined, other.cert), 'tls', 'EMAIL_CERTIFICATE_NAME_MISMATCH');
    }
  });

  it('wrong password, and a server without logins', async () => {
    const server = await aServer({ onAuth });
    assertFails(await examine(smtp(server, { ...login, password: 'planted-wrong' })), 'auth', 'EMAIL_AUTH_FAILED');
    const later = await aServer({ onAuth: (_, __, callback) => callback(refusal(454)) });
    assertFails(await examine(smtp(later, login)), 'auth', 'EMAIL_TEMPORARILY_REFUSED');
    const without = await aServer({ disabledCommands: ['STARTTLS', 'AUTH'] });
    assertFails(await examine(smtp(without, login)), 'auth', 'EMAIL_AUTH_NOT_OFFERED');
  });

  it('sender refused, recipient refused, greylisted, message refused', async () => {
    const refusing = (when: 'onMailFrom' | 'onRcptTo' | 'onData', code: number) =>
      aServer({
        [when]: (...args: unknown[]) => {
          const done = args.at(-1) as (error: Error) => void;
          if (when === 'onData') (args[0] as NodeJS.ReadableStream).resume().once('end', () => done(refusal(code)));
          else done(refusal(code, 'planted support@acme.example'));
        },
      });
    const cases: [MailServer, DoctorStep, EmailFaultCode][] = [
      [await refusing('onMailFrom', 550), 'sender', 'EMAIL_SENDER_REFUSED'],
      [await refusing('onMailFrom', 451), 'sender', 'EMAIL_TEMPORARILY_REFUSED'],
      [await refusing('onRcptTo', 550), 'recipient', 'EMAIL_RECIPIENT_REFUSED'],
      [await refusing('onRcptTo', 450), 'recipient', 'EMAIL_TEMPORARILY_REFUSED'],
      [await refusing('onData', 554), 'send', 'EMAIL_CONTENT_REFUSED'],
      [await refusing('onData', 452), 'send', 'EMAIL_TEMPORARILY_REFUSED'],
    ];
    for (const [server, step, code] of cases)
      assertFails(await examine(smtp(server), 'someone@example.com'), step, code);
  });

  it('turned away at the door, hung up on, or no mail server at all', async () => {
    const cases: [{ port: number }, EmailFaultCode][] = [
      [await scripted([], '554 no service'), 'EMAIL_PROVIDER_UNAVAILABLE'],
      [await scripted([], '421 too busy'), 'EMAIL_PROVIDER_UNAVAILABLE'],
      [await scripted([], 'HTTP/1.1 400 Bad Request'), 'EMAIL_ANSWER_INVALID'],
      [await tcp((socket) => socket.end()), 'EMAIL_CONNECTION_BROKEN'],
    ];
    for (const [server, code] of cases) assertFails(await examine(smtp(server)), 'connect', code);
  });

  it('hangs, at every step, are told in time', async () => {
    const ehlo = (...lines: string[]): [RegExp, string] => [
      /^EHLO/,
      ['250-hi', ...lines.slice(0, -1).map((line) => `250-${line}`), `250 ${lines.at(-1)}`].join('\r\n'),
    ];
    const auth = ehlo('AUTH PLAIN');
    const cases: [{ port: number }, Partial<SmtpConfig>, DoctorStep][] = [
      [await scripted([], ''), {}, 'connect'],
      [await scripted([]), {}, 'connect'],
      [await scripted([], ''), { security: 'tls' }, 'tls'],
      [await scripted([ehlo('STARTTLS'), [/^STARTTLS/, '220 go']]), { security: 'starttls' }, 'tls'],
      [await scripted([auth]), login, 'auth'],
      [await scripted([auth, [/^AUTH/, '235 ok']]), login, 'sender'],
      [await scripted([auth, [/^MAIL/, '250 ok']]), {}, 'recipient'],
      [await scripted([auth, [/^(MAIL|RCPT|RSET)/, '250 ok']]), {}, 'send'],
    ];
    for (const [server, fields, step] of cases) {
      const started = Date.now();
      assertFails(await examine(smtp(server, fields), 'someone@example.com'), step, 'EMAIL_TIMEOUT');
      // Below the limit that a step has when nothing else is asked for.
      assert.ok(Date.now() - started < 9_000, step);
    }
  });
});

describe('ProviderDoctor, an HTTP provider', () => {
  const at = (base_url: string): ProviderConfig => ({
    provider_type: 'postmark',
    server_token: PASSWORD,
    message_stream: 'outbound',
    base_url,
  });
  const good: FakeAnswer = { status: 200, body: { ID: 1 } };
  const sent: FakeAnswer = { status: 200, body: { ErrorCode: 0, MessageID: '1' } };

  it('tells host, connection, credentials, sender, recipient and sending apart', async () => {
    const fake = await startHttpFake(() => good);
    cleanUps.push(() => fake.close());
    const fine = await examine(at(fake.url));
    assert.deepEqual([fine.valid, fine.steps.map(({ step }) => step)], [true, ['dns', 'connect', 'tls', 'auth']]);
    assert.equal(fake.requests.length, 1, 'nothing is sent unless asked for');
    fake.answer = ({ method }) => (method === 'GET' ? good : sent);
    const loud = await examine(at(fake.url), 'someone@example.com');
    assert.equal(loud.valid, true, JSON.stringify(loud));
    assert.equal(fake.requests.filter(({ path }) => path === '/email').length, 1);
    const cases: [FakeAnswer, FakeAnswer, DoctorStep, EmailFaultCode][] = [
      [{ status: 401, body: { ErrorCode: 10 } }, sent, 'auth', 'EMAIL_AUTH_FAILED'],
      [{ status: 429 }, sent, 'auth', 'EMAIL_RATE_LIMITED'],
      [{ status: 503 }, sent, 'auth', 'EMAIL_PROVIDER_UNAVAILABLE'],
      [{ status: 200, body: 'hello' }, sent, 'auth', 'EMAIL_ANSWER_INVALID'],
      ['cut', sent, 'auth', 'EMAIL_CONNECTION_BROKEN'],
      ['silence', sent, 'auth', 'EMAIL_TIMEOUT'],
      [good, { status: 422, body: { ErrorCode: 400 } }, 'sender', 'EMAIL_SENDER_REFUSED'],
      [good, { status: 422, body: { ErrorCode: 406 } }, 'recipient', 'EMAIL_RECIPIENT_REFUSED'],
      [good, { status: 422, body: { ErrorCode: 300 } }, 'send', 'EMAIL_CONTENT_REFUSED'],
      [good, { status: 500 }, 'send', 'EMAIL_PROVIDER_UNAVAILABLE'],
    ];
    for (const [probe, send, step, code] of cases) {
      fake.answer = ({ method }) => (method === 'GET' ? probe : send);
      assertFails(await examine(at(fake.url), 'someone@example.com'), step, code);
    }
    assertFails(await examine(at('https://nobody.example')), 'dns', 'EMAIL_HOST_UNKNOWN');
    assertFails(await examine(at('http://127.0.0.1:1')), 'connect', 'EMAIL_CONNECT_FAILED');
    assertFails(await examine(at(fake.url.replace('http:', 'https:'))), 'tls', 'EMAIL_TLS_FAILED');
    const silent = await tcp(() => undefined);
    assertFails(await examine(at(`https://localhost:${silent.port}`)), 'tls', 'EMAIL_TIMEOUT');
    const certificate = aCertificate(['localhost']);
    const untrusted = createTlsServer(certificate);
    await new Promise<void>((resolve) => untrusted.listen(0, '127.0.0.1', resolve));
    cleanUps.push(() => untrusted.close());
    const { port } = untrusted.address() as AddressInfo;
    assertFails(await examine(at(`https://localhost:${port}`)), 'tls', 'EMAIL_CERTIFICATE_UNTRUSTED');
    assertFails(await examine(at(fake.url), undefined, undefined, aDoctor([])), 'dns', 'EMAIL_TARGET_REFUSED');
  });
});
