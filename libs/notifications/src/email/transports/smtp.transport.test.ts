import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { after, describe, it } from 'node:test';
import type { SMTPServerOptions } from 'smtp-server';
import { NameResolver, ResolvingGuard } from '#libs/egress';
import { aCertificate } from '../../../../../test/support/certificates.js';
import { refusal, startMailServer, type MailServer } from '../../../../../test/support/mail-server.js';
import { aMail } from '../../../../../test/support/outgoing-mail.js';
import { EmailFault, failedOutcome, type EmailFaultCode } from '../email-faults.js';
import { composeMessage } from '../mail-message.js';
import type { OutgoingMail } from '../mailer.js';
import type { EmailProvider, SmtpConfig } from '../provider-configs.js';
import { SmtpPools } from './smtp-pools.js';
import { SmtpTransport } from './smtp.transport.js';

const PASSWORD = 'planted-secret-6f1c';
const cleanUps: (() => unknown)[] = [];
after(async () => {
  for (const cleanUp of cleanUps.reverse()) await cleanUp();
});

async function aServer(options: SMTPServerOptions = {}): Promise<MailServer> {
  const server = await startMailServer(options);
  cleanUps.push(() => server.close());
  return server;
}

function transportFor(ca?: string, allowed = ['127.0.0.0/8']): { transport: SmtpTransport; pools: SmtpPools } {
  const pools = new SmtpPools(ca);
  cleanUps.push(() => pools.close());
  const guard = new ResolvingGuard(
    { production: false, egressAllowedCidrs: allowed },
    new NameResolver(['127.0.0.1:9']),
  );
  return { pools, transport: new SmtpTransport(pools, guard) };
}

function providerAt(server: { port: number }, fields: Partial<SmtpConfig> = {}): EmailProvider {
  const config: SmtpConfig = {
    provider_type: 'smtp',
    host: 'localhost',
    port: server.port,
    username: null,
    password: null,
    security: 'none',
    ...fields,
  };
  return {
    config,
    type: 'smtp',
    isPrimary: true,
    isBulk: false,
    defaultFromEmail: 'support@acme.example',
    defaultFromName: 'Acme',
    version: JSON.stringify(config),
  };
}

const message = (mail: OutgoingMail = aMail(), name = 'Acme', address = 'support@acme.example') =>
  composeMessage(mail, { address, name }, 'chat.example.com');

const never = new AbortController().signal;

const failsWith = (sending: Promise<unknown>, code: EmailFaultCode, statusCode?: number) =>
  assert.rejects(sending, (error: unknown) => {
    assert.ok(error instanceof EmailFault, String(error));
    assert.equal(error.code, code, String((error.cause as Error | undefined)?.stack));
    assert.equal(error.details.statusCode, statusCode);
    assert.doesNotMatch(error.message, new RegExp(`${PASSWORD}|user@|example|planted|127\\.0`));
    return true;
  });

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

describe('SmtpTransport', () => {
  it('delivers HTML with a text alternative, to each of the envelope, bcc unseen', async () => {
    const server = await aServer();
    const { transport } = transportFor();
    const copies = { cc: ['cc@example.com'], bcc: ['bcc@example.com'] };
    const mail = aMail({ ...copies, replyTo: 'reply@example.com', content: '<h1>Hello</h1><p>World</p>' });
    const receipt = await transport.send('c', providerAt(server), message(mail), never);
    assert.deepEqual(receipt, { providerMessageId: '1-ABC', statusCode: 250 });
    const [taken] = server.taken;
    assert.deepEqual(taken!.envelope, {
      from: 'support@acme.example',
      to: ['user@example.com', 'cc@example.com', 'bcc@example.com'],
    });
    assert.doesNotMatch(taken!.raw, /bcc@/i);
    assert.deepEqual(taken!.mail.from, { address: 'support@acme.example', name: 'Acme' });
    assert.deepEqual(taken!.mail.to, [{ address: 'user@example.com', name: '' }]);
    assert.deepEqual(taken!.mail.cc, [{ address: 'cc@example.com', name: '' }]);
    assert.deepEqual(taken!.mail.replyTo, [{ address: 'reply@example.com', name: '' }]);
    assert.equal(taken!.mail.subject, mail.subject);
    assert.equal(taken!.mail.messageId, `<${mail.deliveryId}@chat.example.com>`);
    assert.equal(taken!.mail.html!.trim(), mail.content);
    assert.equal(taken!.mail.text!.trim(), 'Hello\n\nWorld');
    const header = taken!.mail.headers.find((one) => one.key === 'x-chatapi-delivery-id');
    assert.equal(header!.value, mail.deliveryId);
  });

  it('sends plain text as plain text', async () => {
    const server = await aServer();
    const { transport } = transportFor();
    await transport.send('c', providerAt(server), message(aMail({ content: 'a < b & c\n.\n..\nend' })), never);
    assert.equal(server.taken[0]!.mail.html, undefined);
    assert.equal(server.taken[0]!.mail.text!.trimEnd(), 'a < b & c\n.\n..\nend');
  });

  it('carries unicode in names, subject, content and addresses', async () => {
    const server = await aServer();
    const { transport } = transportFor();
    const mail = aMail({ to: 'grüße@bücher.example', subject: 'Grüße 😀 und Ω', content: '<p>żółć 😀</p>' });
    await transport.send('c', providerAt(server), message(mail, 'Änne "Øre" 😀'), never);
    const [taken] = server.taken;
    assert.deepEqual(taken!.envelope.to, ['grüße@bücher.example']);
    assert.equal(taken!.mail.subject, 'Grüße 😀 und Ω');
    assert.equal(taken!.mail.from!.name, 'Änne "Øre" 😀');
    assert.match(taken!.mail.text!, /żółć 😀/);
  });

  it('writes the domain of an address that is otherwise ASCII so that every server can take it', async () => {
    const server = await aServer({ hideSMTPUTF8: true });
    const { transport } = transportFor();
    await transport.send('c', providerAt(server), message(aMail({ to: 'info@bücher.example' })), never);
    assert.match(server.taken[0]!.raw, /^To: info@xn--bcher-kva\.example\r$/m);
  });

  it('refuses line breaks in subject, names and addresses before anything is sent', () => {
    const injected = 'x\r\nBcc: victim@example.com';
    for (const text of [injected, 'x\ny', 'x\ry', 'x\u2028y', 'x\0y', 'x\u0085y']) {
      const attempts = [
        () => message(aMail({ subject: text })),
        () => message(aMail(), text),
        () => message(aMail(), 'Acme', `a@b.example${text}`),
        () => message(aMail({ to: `a@b.example${text}` })),
        () => message(aMail({ cc: [`a@b.example${text}`] })),
        () => message(aMail({ bcc: [`a@b.example${text}`] })),
        () => message(aMail({ replyTo: `a@b.example${text}` })),
      ];
      for (const attempt of attempts) assert.throws(attempt, (error: EmailFault) => error.code === 'EMAIL_INVALID');
    }
    for (const to of ['a@b.example,c@d.example', 'A <a@b.example>', 'a@b.example c@d.example', 'a', '@b', 'a@']) {
      assert.throws(
        () => message(aMail({ to })),
        (error: EmailFault) => error.code === 'EMAIL_INVALID',
        to,
      );
    }
  });

  it('a name stays a name, whatever it looks like', async () => {
    const server = await aServer();
    const { transport } = transportFor();
    const name = 'Evil <evil@example.com>, "x", (y)';
    await transport.send('c', providerAt(server), message(aMail(), name), never);
    assert.deepEqual(server.taken[0]!.mail.from, { address: 'support@acme.example', name });
  });

  it('speaks TLS from the start, by STARTTLS, and logs in', async () => {
    const certificate = aCertificate(['localhost']);
    const onAuth: SMTPServerOptions['onAuth'] = (auth, _, callback) =>
      auth.username === 'acme' && auth.password === PASSWORD
        ? callback(null, { user: 'acme' })
        : callback(refusal(535, `bad password ${auth.password}`));
    const login = { username: 'acme', password: PASSWORD };
    const tls = await aServer({ secure: true, ...certificate, onAuth });
    const starttls = await aServer({ ...certificate, onAuth });
    const { transport } = transportFor(certificate.cert);
    await transport.send('a', providerAt(tls, { security: 'tls', ...login }), message(), never);
    await transport.send('b', providerAt(starttls, { security: 'starttls', ...login }), message(), never);
    await transport.send('c', providerAt(starttls, { security: 'none', ...login }), message(), never);
    assert.equal(tls.taken[0]!.session.secure, true);
    assert.deepEqual(
      starttls.taken.map(({ session }) => session.secure),
      [true, false],
    );
    const wrong = { security: 'tls' as const, username: 'acme', password: 'wrong' };
    await failsWith(transport.send('d', providerAt(tls, wrong), message(), never), 'EMAIL_AUTH_FAILED', 535);
  });

  it('never falls back to clear text, and trusts nobody it should not', async () => {
    const good = aCertificate(['localhost']);
    const { transport } = transportFor(good.cert);
    const plain = await aServer();
    const cases: [MailServer, SmtpConfig['security'], EmailFaultCode, number?][] = [
      [plain, 'starttls', 'EMAIL_STARTTLS_NOT_OFFERED', 500],
      [plain, 'tls', 'EMAIL_TLS_FAILED'],
    ];
    const certificates: [ReturnType<typeof aCertificate>, EmailFaultCode][] = [
      [aCertificate(['localhost']), 'EMAIL_CERTIFICATE_UNTRUSTED'],
    ];
    for (const [certificate, code] of certificates) {
      cases.push([await aServer({ secure: true, ...certificate }), 'tls', code]);
      cases.push([await aServer({ ...certificate }), 'starttls', code]);
    }
    for (const [server, security, code, status] of cases) {
      await failsWith(transport.send(randomUUID(), providerAt(server, { security }), message(), never), code, status);
      assert.equal(server.taken.length, 0);
    }
    for (const [hosts, days, code] of [
      [['localhost'], -1, 'EMAIL_CERTIFICATE_EXPIRED'],
      [['other.example'], 1, 'EMAIL_CERTIFICATE_NAME_MISMATCH'],
    ] as const) {
      const certificate = aCertificate([...hosts], days);
      const trusting = transportFor(certificate.cert).transport;
      for (const secure of [true, false]) {
        const provider = providerAt(await aServer({ secure, ...certificate }), {
          security: secure ? 'tls' : 'starttls',
        });
        await failsWith(trusting.send('c', provider, message(), never), code);
      }
    }
  });

  it('tells refusals apart: for good or for now, of whom and when', async () => {
    const { transport } = transportFor();
    const refusing = (when: 'onMailFrom' | 'onRcptTo' | 'onConnect', code: number) =>
      aServer({
        [when]: (...args: unknown[]) => (args.at(-1) as (error: Error) => void)(refusal(code, '5.1.1 planted user@x')),
      });
    const atData = (code: number) =>
      aServer({ onData: (stream, _, callback) => void stream.resume().on('end', () => callback(refusal(code))) });
    const cases: [MailServer, EmailFaultCode, number][] = [
      [await refusing('onRcptTo', 550), 'EMAIL_RECIPIENT_REFUSED', 550],
      [await refusing('onRcptTo', 450), 'EMAIL_TEMPORARILY_REFUSED', 450],
      [await refusing('onRcptTo', 421), 'EMAIL_PROVIDER_UNAVAILABLE', 421],
      [await refusing('onMailFrom', 553), 'EMAIL_SENDER_REFUSED', 553],
      [await refusing('onMailFrom', 451), 'EMAIL_TEMPORARILY_REFUSED', 451],
      [await refusing('onConnect', 554), 'EMAIL_PROVIDER_UNAVAILABLE', 554],
      [await refusing('onConnect', 421), 'EMAIL_PROVIDER_UNAVAILABLE', 421],
      [await atData(554), 'EMAIL_CONTENT_REFUSED', 554],
      [await atData(452), 'EMAIL_TEMPORARILY_REFUSED', 452],
    ];
    for (const [server, code, status] of cases) {
      await failsWith(transport.send(randomUUID(), providerAt(server), message(), never), code, status);
    }
  });

  it('judges by the recipient, not by who is in copy', async () => {
    const server = await aServer({
      onRcptTo: (address, _, callback) =>
        callback(/^(bad|later)/.test(address.address) ? refusal(address.address.startsWith('bad') ? 550 : 450) : null),
    });
    const { transport } = transportFor();
    await transport.send('c', providerAt(server), message(aMail({ cc: ['bad@example.com'] })), never);
    const toBad = message(aMail({ to: 'bad@example.com', cc: ['good@example.com'] }));
    await failsWith(transport.send('c', providerAt(server), toBad, never), 'EMAIL_RECIPIENT_REFUSED', 550);
    const toLater = message(aMail({ to: 'later@example.com', cc: ['good@example.com'] }));
    await failsWith(transport.send('c', providerAt(server), toLater, never), 'EMAIL_TEMPORARILY_REFUSED', 450);
  });

  it('says of a refused recipient whether those in copy have it, and then leaves them out', async () => {
    const server = await aServer({
      onRcptTo: ({ address }, _, callback) => callback(address.startsWith('later') ? refusal(450) : null),
    });
    const { transport } = transportFor();
    const takenAs = async (mail: OutgoingMail) => {
      const fault = await transport.send('c', providerAt(server), message(mail), never).catch((error) => error);
      assert.ok(fault instanceof EmailFault);
      return failedOutcome(fault, 'smtp', false).providerMessageId;
    };
    const mail = aMail({ to: 'later@example.com', cc: ['cc@example.com'], bcc: ['bcc@example.com'] });
    assert.equal(await takenAs(mail), '1-ABC');
    assert.equal(await takenAs(aMail({ to: 'later@example.com', cc: ['later-2@example.com'] })), undefined);
    assert.equal(await takenAs({ ...mail, copiesTaken: true }), undefined);
    await transport.send(
      'c',
      providerAt(server),
      message({ ...mail, to: 'now@example.com', copiesTaken: true }),
      never,
    );
    assert.deepEqual(
      server.taken.map(({ envelope }) => envelope.to),
      [['cc@example.com', 'bcc@example.com'], ['now@example.com']],
    );
    assert.deepEqual(server.taken[1]!.mail.cc, [{ address: 'cc@example.com', name: '' }]);
  });

  it('names what keeps it from the server', async () => {
    const { transport } = transportFor();
    const closing = createServer();
    await new Promise<void>((resolve) => closing.listen(0, '127.0.0.1', resolve));
    const { port } = closing.address() as AddressInfo;
    await new Promise((resolve) => closing.close(resolve));
    await failsWith(transport.send('a', providerAt({ port }), message(), never), 'EMAIL_CONNECT_FAILED');
    await failsWith(
      transport.send('b', providerAt({ port }, { host: 'nobody.example' }), message(), never),
      'EMAIL_HOST_UNKNOWN',
    );
    const noSmtp = await tcp((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    await failsWith(transport.send('c', providerAt(noSmtp), message(), never), 'EMAIL_ANSWER_INVALID');
    const rude = await tcp((socket) => socket.end());
    await failsWith(transport.send('d', providerAt(rude), message(), never), 'EMAIL_CONNECTION_BROKEN');
    const server = await aServer();
    const closed = transportFor(undefined, []).transport;
    for (const host of ['localhost', '127.0.0.1', '2130706433', '::ffff:127.0.0.1']) {
      await failsWith(closed.send(host, providerAt(server, { host }), message(), never), 'EMAIL_TARGET_REFUSED');
    }
    assert.equal(server.connections, 0);
  });

  it('stops when told to, also when the server trickles', async () => {
    const { transport } = transportFor();
    const trickling = await tcp((socket) => {
      socket.write('220');
      const timer = setInterval(() => socket.write('-still here\r\n220'), 20);
      socket.on('close', () => clearInterval(timer));
    });
    const started = Date.now();
    const sending = transport.send('c', providerAt(trickling), message(), AbortSignal.timeout(300));
    await failsWith(sending, 'EMAIL_TIMEOUT');
    // Well below the transport's own limits.
    assert.ok(Date.now() - started < 8_000);
  });

  it('does not send twice when the connection breaks after the message', async () => {
    let messages = 0;
    const server = await aServer({
      onData: (stream, session, callback) => {
        stream.resume().on('end', () => {
          messages++;
          void callback;
          // Gone before the answer: whether it was taken is unknown.
          (session as unknown as { socket?: Socket }).socket?.destroy();
          sockets.forEach((socket) => socket.destroy());
        });
      },
    });
    const sockets = new Set<Socket>();
    const relay = await tcp((socket) => {
      const out = new (socket.constructor as typeof Socket)();
      sockets.add(out.on('error', () => undefined).connect(server.port, '127.0.0.1'));
      socket.pipe(out).pipe(socket);
      out.on('close', () => socket.destroy());
    });
    const { transport } = transportFor();
    await failsWith(transport.send('c', providerAt(relay), message(), never), 'EMAIL_CONNECTION_BROKEN');
    assert.equal(messages, 1);
  });

  it('keeps connections, a bounded number of them, and opens new ones when the configuration changes', async () => {
    const server = await aServer();
    const { transport, pools } = transportFor();
    for (let i = 0; i < 10; i++) await transport.send('c', providerAt(server), message(), never);
    assert.equal(server.connections, 1);
    const one = () => transport.send('c', providerAt(server), message(), new AbortController().signal);
    await Promise.all(Array.from({ length: 40 }, one));
    assert.ok(server.connections <= 5, `${server.connections} connections`);
    assert.equal(server.taken.length, 50);
    const before = server.connections;
    await transport.send('c', providerAt(server, { host: '127.0.0.1' }), message(), never);
    assert.equal(server.connections, before + 1);
    assert.equal(pools.size, 1);
    await transport.send('other', providerAt(server), message(), never);
    assert.equal(pools.size, 2, 'each client has its own');
  });

  it('replaces a kept connection that the server has ended', async () => {
    const sockets: Socket[] = [];
    const server = await aServer();
    const relay = await tcp((socket) => {
      sockets.push(socket);
      const out = new (socket.constructor as typeof Socket)();
      out.on('error', () => undefined).connect(server.port, '127.0.0.1');
      socket.pipe(out).pipe(socket);
    });
    const { transport } = transportFor();
    await transport.send('c', providerAt(relay), message(), never);
    for (let round = 1; round <= 3; round++) {
      sockets.at(-1)!.destroy();
      await transport.send('c', providerAt(relay), message(), never);
      assert.equal(server.taken.length, round + 1);
    }
  });

  it('names the same Message-ID on every attempt', async () => {
    const server = await aServer();
    const { transport } = transportFor();
    const mail = aMail();
    for (const attempt of [1, 2, 3]) {
      await transport.send('c', providerAt(server), message({ ...mail, attempt }), never);
    }
    assert.equal(new Set(server.taken.map(({ mail: one }) => one.messageId)).size, 1);
  });
});
