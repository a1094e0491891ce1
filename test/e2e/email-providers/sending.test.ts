import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import PostalMime from 'postal-mime';
import { Mailer, type OutgoingMail } from '#libs/notifications';
import { aTenant, startApi, type TestApi, type TestTenant } from '../../support/api.js';
import { startHttpFake, type HttpFake } from '../../support/http-fake.js';
import { refusal, startMailServer, type MailServer } from '../../support/mail-server.js';
import { aMail } from '../../support/outgoing-mail.js';

const LOOPBACK = { EGRESS_ALLOWED_CIDRS: '127.0.0.0/8' };
const never = new AbortController().signal;

describe('Which provider a mail goes by', () => {
  let api: TestApi;
  let server: MailServer;
  let deferring: MailServer;
  let refusing: MailServer;
  before(async () => {
    api = await startApi({ ...LOOPBACK, DATABASE_URL: 'postgres://unused/x', MAIL_URL: '' });
    server = await startMailServer();
    deferring = await startMailServer({ onRcptTo: (_, __, callback) => callback(refusal(451)) });
    refusing = await startMailServer({ onAuth: (_, __, callback) => callback(refusal(535)) });
  });
  const fakes: HttpFake[] = [];
  const aFake = async (answer: HttpFake['answer']): Promise<HttpFake> => {
    const fake = await startHttpFake(answer);
    fakes.push(fake);
    return fake;
  };
  after(async () => {
    for (const fake of fakes) await fake.close();
    await api.stop();
    await Promise.all([server.close(), deferring.close(), refusing.close()]);
  });

  const put = async (tenant: TestTenant, config: object, fields: object = {}) => {
    const body = {
      provider_config: config,
      default_from_email: 'support@acme.example',
      default_from_name: 'Acme',
      ...fields,
    };
    const reply = await api.call('PUT', '/clients/email-providers', { key: tenant.key, body });
    assert.equal(reply.status, 200, reply.text);
  };
  const smtpAt = ({ port }: MailServer, fields: object = {}) => ({
    provider_type: 'smtp',
    host: 'localhost',
    port,
    security: 'none',
    ...fields,
  });
  const send = (mail: OutgoingMail) => api.app.get(Mailer).send(mail, never);

  it('none at all: the mail fails, and says what is missing', async () => {
    const tenant = await aTenant(api);
    const outcome = await send(aMail({ clientId: tenant.id }));
    assert.equal(outcome.result, 'failed');
    assert.equal(outcome.errorCode, 'EMAIL_PROVIDER_NOT_CONFIGURED');
  });

  it('the one there is, with its sender', async () => {
    const tenant = await aTenant(api);
    await put(tenant, smtpAt(server));
    const mail = aMail({ clientId: tenant.id });
    const outcome = await send(mail);
    assert.deepEqual(outcome, {
      result: 'sent',
      providerName: 'smtp',
      providerMessageId: outcome.providerMessageId,
      statusCode: 250,
    });
    const taken = server.taken.find((one) => one.mail.messageId?.includes(mail.deliveryId));
    assert.deepEqual(taken!.mail.from, { address: 'support@acme.example', name: 'Acme' });
  });

  it('a change is seen by the very next mail', async () => {
    const tenant = await aTenant(api);
    await put(tenant, smtpAt(deferring));
    assert.equal((await send(aMail({ clientId: tenant.id }))).result, 'retry');
    await put(tenant, smtpAt(server));
    assert.equal((await send(aMail({ clientId: tenant.id }))).result, 'sent');
    const gone = await api.call('DELETE', '/clients/email-providers/smtp', { key: tenant.key });
    assert.equal(gone.status, 204);
    assert.equal((await send(aMail({ clientId: tenant.id }))).errorCode, 'EMAIL_PROVIDER_NOT_CONFIGURED');
  });

  it('sends from the domain of the provider only, by whatever name', async () => {
    const tenant = await aTenant(api);
    await put(tenant, smtpAt(server));
    const allowed = aMail({ clientId: tenant.id, fromEmail: 'sales@ACME.example', fromName: 'Sales' });
    assert.equal((await send(allowed)).result, 'sent');
    const taken = server.taken.find((one) => one.mail.messageId?.includes(allowed.deliveryId));
    assert.equal(taken!.mail.from!.name, 'Sales');
    for (const fromEmail of [
      'boss@example.com',
      'x@sub.acme.example',
      'x@acme.example.evil.example',
      'support@acme.example@evil.example',
    ]) {
      const outcome = await send(aMail({ clientId: tenant.id, fromEmail }));
      assert.equal(outcome.result, 'failed', fromEmail);
      assert.equal(outcome.errorCode, 'EMAIL_SENDER_NOT_ALLOWED', fromEmail);
      assert.doesNotMatch(outcome.error!, /acme|evil|example/);
    }
  });

  it('a refused password is final where it is the only provider', async () => {
    const tenant = await aTenant(api);
    await put(tenant, smtpAt(refusing, { username: 'u', password: 'planted-secret' }));
    const outcome = await send(aMail({ clientId: tenant.id }));
    assert.deepEqual([outcome.result, outcome.errorCode, outcome.statusCode], ['failed', 'EMAIL_AUTH_FAILED', 535]);
    assert.doesNotMatch(JSON.stringify(outcome), /planted/);
  });

  it('one recipient: the primary; two or more: the bulk one; a later attempt: the next', async () => {
    const tenant = await aTenant(api);
    const fake = await aFake(() => ({ status: 503 }));
    const names = async (fields: Partial<OutgoingMail>) => {
      const outcomes = [];
      for (const attempt of [1, 2, 3, 4]) outcomes.push(await send(aMail({ clientId: tenant.id, ...fields, attempt })));
      for (const { result } of outcomes) assert.equal(result, 'retry');
      return outcomes.map(({ providerName }) => providerName);
    };
    await put(tenant, smtpAt(deferring));
    await put(tenant, { provider_type: 'resend', api_key: 're_planted', base_url: fake.url }, { is_primary: true });
    await put(tenant, { provider_type: 'sendgrid', api_key: 'SG.planted', base_url: fake.url });
    assert.deepEqual(await names({ recipientCount: 1 }), ['resend', 'smtp', 'sendgrid', 'resend']);
    assert.deepEqual(
      await names({ recipientCount: 2 }),
      ['resend', 'smtp', 'sendgrid', 'resend'],
      'no bulk: the primary',
    );
    const bulk = { is_bulk: true, default_from_email: 'bulk@mass.example' };
    await put(tenant, { provider_type: 'sendgrid', api_key: 'SG.planted', base_url: fake.url }, bulk);
    assert.deepEqual(await names({ recipientCount: 1 }), ['resend', 'smtp', 'sendgrid', 'resend']);
    assert.deepEqual(await names({ recipientCount: 2 }), ['sendgrid', 'resend', 'smtp', 'sendgrid']);
    assert.deepEqual(
      await names({ recipientCount: 2, fromEmail: 'x@acme.example' }),
      ['resend', 'smtp', 'resend', 'smtp'],
      'only those that may send from there',
    );
  });

  it('a refused password is no end where there is another provider, and the mail arrives by that', async () => {
    const tenant = await aTenant(api);
    const fake = await aFake(() => ({ status: 401, body: {} }));
    await put(tenant, { provider_type: 'resend', api_key: 're_planted', base_url: fake.url });
    await put(tenant, smtpAt(server));
    const mail = aMail({ clientId: tenant.id });
    const first = await send(mail);
    assert.deepEqual([first.result, first.errorCode, first.providerName], ['retry', 'EMAIL_AUTH_FAILED', 'resend']);
    const second = await send({ ...mail, attempt: 2 });
    assert.deepEqual([second.result, second.providerName], ['sent', 'smtp']);
  });

  it('never another client’s', async () => {
    const [a, b] = [await aTenant(api), await aTenant(api)];
    await put(a, smtpAt(server));
    assert.equal((await send(aMail({ clientId: b.id }))).errorCode, 'EMAIL_PROVIDER_NOT_CONFIGURED');
  });
});

describe('Mail of clients without a provider', () => {
  it('goes by MAIL_URL, from its domain', async () => {
    const seen: string[] = [];
    const server = await startMailServer({
      onAuth: (auth, _, callback) => {
        seen.push(`${auth.username}:${auth.password}`);
        callback(null, { user: 'u' });
      },
    });
    const mailUrl = `smtp://us%40er:p%2Fw@127.0.0.1:${server.port}?security=none&from=no-reply@chat.example&name=Chat`;
    const api = await startApi({ MAIL_URL: mailUrl });
    try {
      const tenant = await aTenant(api);
      const outcome = await api.app.get(Mailer).send(aMail({ clientId: tenant.id }), never);
      assert.equal(outcome.result, 'sent', JSON.stringify(outcome));
      assert.equal(outcome.providerName, 'server');
      assert.deepEqual(seen, ['us@er:p/w']);
      assert.deepEqual(server.taken[0]!.mail.from, { address: 'no-reply@chat.example', name: 'Chat' });
      const other = await api.app
        .get(Mailer)
        .send(aMail({ clientId: tenant.id, fromEmail: 'boss@example.com' }), never);
      assert.deepEqual([other.result, other.errorCode], ['failed', 'EMAIL_SENDER_NOT_ALLOWED']);
    } finally {
      await api.stop();
      await server.close();
    }
  });

  it('becomes a readable file in the embedded default, whole and once per delivery', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'chatapi-mail-'));
    const api = await startApi({ DATA_DIR: dataDir });
    try {
      const tenant = await aTenant(api);
      const mail = aMail({ clientId: tenant.id, bcc: ['hidden@example.com'] });
      for (const attempt of [1, 2]) {
        const outcome = await api.app.get(Mailer).send({ ...mail, attempt }, never);
        const file = `${mail.deliveryId}.eml`;
        assert.deepEqual(outcome, {
          result: 'sent',
          providerName: 'file',
          providerMessageId: file,
          statusCode: undefined,
        });
        assert.deepEqual(readdirSync(join(dataDir, 'mail')), [file]);
        const path = join(dataDir, 'mail', file);
        assert.equal(statSync(path).mode & 0o777, 0o600);
        const parsed = await PostalMime.parse(readFileSync(path));
        assert.equal(parsed.subject, 'Welcome!');
        assert.equal(parsed.to![0]!.address, 'user@example.com');
        assert.equal(parsed.text!.trim(), 'Welcome to our platform!');
        assert.equal(parsed.html!.trim(), '<h1>Welcome to our platform!</h1>');
      }
    } finally {
      await api.stop();
      rmSync(dataDir, { recursive: true, force: true });
    }
  });
});
