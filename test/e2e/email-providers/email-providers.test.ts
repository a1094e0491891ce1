import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { pino } from 'pino';
import { ResealSecretsProcessor } from '#libs/composition';
import { Mailer } from '#libs/notifications';
import { aTenant, aUser, startApi, type Reply, type TestApi, type TestTenant } from '../../support/api.js';
import { aMail } from '../../support/outgoing-mail.js';
import { inParallel } from '../../support/concurrency.js';
import { assertError, assertInvalid } from '../../support/errors.js';
import { startMailServer, type MailServer } from '../../support/mail-server.js';

const PATH = '/clients/email-providers';
const LOOPBACK = { EGRESS_ALLOWED_CIDRS: '127.0.0.0/8', DATABASE_URL: 'postgres://unused/x' };

/** One configuration of each kind; addresses that need no name server. */
const CONFIGS = {
  smtp: {
    provider_type: 'smtp',
    host: '127.0.0.1',
    port: 2525,
    username: 'acme',
    password: 'smtp-planted-secret-1111',
    security: 'none',
  },
  sendgrid: { provider_type: 'sendgrid', api_key: 'SG.planted-secret-2222', base_url: 'http://127.0.0.1:1' },
  mailgun: {
    provider_type: 'mailgun',
    api_key: 'key-planted-secret-3333',
    domain: 'mg.acme.example',
    region: 'eu',
    base_url: 'http://127.0.0.1:1',
  },
  postmark: {
    provider_type: 'postmark',
    server_token: 'planted-secret-token-4444',
    message_stream: 'outbound',
    base_url: 'http://127.0.0.1:1',
  },
  ses: {
    provider_type: 'ses',
    aws_access_key_id: 'AKIAIOSFODNN7EXAMPLE',
    aws_secret_access_key: 'planted-secret-access-5555',
    region: 'eu-central-1',
    base_url: 'http://127.0.0.1:1',
  },
  resend: { provider_type: 'resend', api_key: 're_planted-secret-6666', base_url: 'http://127.0.0.1:1' },
} as const;
const FROM = { default_from_email: 'support@acme.example', default_from_name: 'Acme' };

describe('Email providers', () => {
  let api: TestApi;
  let server: MailServer;
  before(async () => {
    api = await startApi(LOOPBACK);
    server = await startMailServer();
  });
  after(async () => {
    await api.stop();
    await server.close();
  });

  const put = (tenant: TestTenant, provider_config: object, fields: object = {}): Promise<Reply> =>
    api.call('PUT', PATH, { key: tenant.key, body: { provider_config, ...FROM, ...fields } });
  const list = async (tenant: TestTenant) => {
    const reply = await api.call('GET', `${PATH}?order=asc`, { key: tenant.key });
    assert.equal(reply.status, 200, reply.text);
    return reply.body.data;
  };
  const flags = async (tenant: TestTenant) =>
    Object.fromEntries(
      (await list(tenant)).map((one: Record<string, unknown>) => [
        one['provider_type'],
        [one['is_primary'], one['is_bulk']],
      ]),
    );

  it('are set, listed and removed, one of each kind, secrets shown by their end', async () => {
    const tenant = await aTenant(api);
    for (const config of Object.values(CONFIGS)) {
      const reply = await put(tenant, config);
      assert.equal(reply.status, 200, reply.text);
      assert.doesNotMatch(reply.text, /planted/);
    }
    const listed = await list(tenant);
    assert.deepEqual(
      listed.map((one: { provider_type: string }) => one.provider_type),
      Object.keys(CONFIGS),
    );
    assert.deepEqual(listed[0].provider_config, { ...CONFIGS.smtp, password: '****1111' });
    assert.deepEqual(listed[4].provider_config, { ...CONFIGS.ses, aws_secret_access_key: '****5555' });
    assert.equal(listed[0].default_from_email, FROM.default_from_email);
    const again = await put(tenant, { ...CONFIGS.smtp, port: 26, password: 'short' }, { default_from_name: null });
    assert.deepEqual(again.body.data.provider_config, { ...CONFIGS.smtp, port: 26, password: '****' });
    assert.equal(again.body.data.id, listed[0].id);
    assert.equal(again.body.data.default_from_name, null);
    assert.equal((await api.call('DELETE', `${PATH}/smtp`, { key: tenant.key })).status, 204);
    assertError(await api.call('DELETE', `${PATH}/smtp`, { key: tenant.key }), 404, 'RESOURCE_NOT_FOUND');
    assert.equal((await list(tenant)).length, 5);
  });

  it('fill in what is left out', async () => {
    const tenant = await aTenant(api);
    const cases: [object, object][] = [
      [{}, { port: 587, security: 'starttls', username: null, password: null }],
      [{ port: 465 }, { port: 465, security: 'tls' }],
      [{ security: 'tls' }, { port: 465, security: 'tls' }],
      [{ security: 'none' }, { port: 25, security: 'none' }],
      [{ use_tls: true }, { port: 587, security: 'starttls' }],
      [
        { use_tls: true, port: 465 },
        { port: 465, security: 'tls' },
      ],
      [{ use_tls: false }, { port: 25, security: 'none' }],
      [
        { use_tls: false, security: 'tls' },
        { port: 465, security: 'tls' },
      ],
    ];
    for (const [given, expected] of cases) {
      const reply = await put(tenant, { provider_type: 'smtp', host: '127.0.0.1', ...given });
      assert.equal(reply.status, 200, reply.text);
      const { provider_config: shown } = reply.body.data;
      assert.deepEqual({ ...shown, ...expected }, shown, JSON.stringify(given));
      assert.equal(shown.use_tls, undefined);
    }
    const mailgun = await put(tenant, {
      provider_type: 'mailgun',
      api_key: 'key-planted',
      domain: 'mg.acme.example',
      base_url: 'http://127.0.0.1:1/',
    });
    assert.equal(mailgun.body.data.provider_config.region, 'us');
    assert.equal(mailgun.body.data.provider_config.base_url, 'http://127.0.0.1:1');
  });

  it('names each wrong field of the configuration', async () => {
    const tenant = await aTenant(api);
    const without = (config: object, field: string) =>
      Object.fromEntries(Object.entries(config).filter(([name]) => name !== field));
    const config = (field: string) => `provider_config.${field}`;
    const cases: [unknown, string[]][] = [
      [undefined, ['provider_config']],
      [null, ['provider_config']],
      ['smtp', ['provider_config']],
      [[], ['provider_config']],
      [{}, [config('provider_type')]],
      [{ provider_type: 'pigeon' }, [config('provider_type')]],
      [{ provider_type: '__proto__' }, [config('provider_type')]],
      [{ provider_type: 'smtp' }, [config('host')]],
      [{ provider_type: 'smtp', host: 'a b', port: 0 }, [config('host'), config('port')]],
      [{ ...CONFIGS.smtp, port: 65_536 }, [config('port')]],
      [{ ...CONFIGS.smtp, port: '25' }, [config('port')]],
      [{ ...CONFIGS.smtp, host: 'a/b' }, [config('host')]],
      [{ ...CONFIGS.smtp, host: 'x'.repeat(254) }, [config('host')]],
      [{ ...CONFIGS.smtp, security: 'ssl' }, [config('security')]],
      [{ ...CONFIGS.smtp, use_tls: 'yes' }, [config('use_tls')]],
      [{ ...CONFIGS.smtp, username: 'a\r\nb' }, [config('username')]],
      [{ ...CONFIGS.smtp, password: 'a\nb' }, [config('password')]],
      [without(CONFIGS.smtp, 'password'), [config('password')]],
      [without(CONFIGS.smtp, 'username'), [config('username')]],
      [{ ...CONFIGS.smtp, password: '****1111' }, [config('password')]],
      [without(CONFIGS.sendgrid, 'api_key'), [config('api_key')]],
      [{ ...CONFIGS.sendgrid, api_key: '' }, [config('api_key')]],
      [{ ...CONFIGS.sendgrid, api_key: 'x\r\nAuthorization: y' }, [config('api_key')]],
      [{ ...CONFIGS.sendgrid, base_url: 'ftp://127.0.0.1' }, [config('base_url')]],
      [{ ...CONFIGS.sendgrid, base_url: 'http://u:p@127.0.0.1' }, [config('base_url')]],
      [{ ...CONFIGS.sendgrid, base_url: 'http://127.0.0.1/?x=1' }, [config('base_url')]],
      [{ ...CONFIGS.mailgun, domain: 'acme', region: 'mars' }, [config('domain'), config('region')]],
      [{ ...CONFIGS.mailgun, domain: '../x.y' }, [config('domain')]],
      [without(CONFIGS.postmark, 'server_token'), [config('server_token')]],
      [{ ...CONFIGS.ses, region: 'eu-central-1.evil.example/#' }, [config('region')]],
      [{ provider_type: 'ses' }, [config('aws_access_key_id'), config('aws_secret_access_key'), config('region')]],
    ];
    for (const [provider_config, fields] of cases) {
      const body = { provider_config, ...FROM };
      assertInvalid(await api.call('PUT', PATH, { key: tenant.key, body }), fields, JSON.stringify(provider_config));
      if (provider_config !== undefined) {
        assertInvalid(await api.call('POST', `${PATH}/validate`, { key: tenant.key, body }), fields);
      }
    }
    for (const default_from_email of [
      undefined,
      null,
      '',
      'acme',
      'a@b',
      'a@b.example\r\nBcc: c@d.example',
      'A <a@b.example>',
    ]) {
      assertInvalid(
        await put(tenant, CONFIGS.smtp, { default_from_email }),
        ['default_from_email'],
        String(default_from_email),
      );
    }
    for (const default_from_name of ['', 'x'.repeat(256), 'a\r\nBcc: c@d.example', 'a\u2028b', 7]) {
      assertInvalid(
        await put(tenant, CONFIGS.smtp, { default_from_name }),
        ['default_from_name'],
        String(default_from_name),
      );
    }
    assertInvalid(await put(tenant, CONFIGS.smtp, { is_primary: 1, is_bulk: null }), ['is_primary', 'is_bulk']);
    for (const kind of ['pigeon', 'SMTPS', randomUUID()]) {
      assertInvalid(await api.call('DELETE', `${PATH}/${kind}`, { key: tenant.key }), ['provider_type'], kind);
    }
    assert.deepEqual(await list(tenant), [], 'nothing of this was stored');
  });

  it('may not lead inside, and the answer names the variable that allows it', async () => {
    const closed = await startApi();
    try {
      const tenant = await aTenant(closed);
      const ask = async (provider_config: object, field: string) => {
        const reply = await closed.call('PUT', PATH, { key: tenant.key, body: { provider_config, ...FROM } });
        assertInvalid(reply, [`provider_config.${field}`]);
        assert.match(reply.text, /EGRESS_ALLOWED_CIDRS/);
      };
      for (const host of ['127.0.0.1', 'localhost', '169.254.169.254', '::1', '0x7f.1', '10.0.0.1', '2130706433']) {
        await ask({ ...CONFIGS.smtp, host }, 'host');
      }
      for (const host of ['127.0.0.1', 'localhost', '169.254.169.254', '[::1]', '[::ffff:10.0.0.1]', '0177.0.0.1']) {
        await ask({ ...CONFIGS.resend, base_url: `https://${host}/latest` }, 'base_url');
      }
    } finally {
      await closed.stop();
    }
  });

  it('at most one is primary and one bulk; the first is primary by itself', async () => {
    const tenant = await aTenant(api);
    await put(tenant, CONFIGS.smtp);
    assert.deepEqual(await flags(tenant), { smtp: [true, false] });
    await put(tenant, CONFIGS.resend);
    assert.deepEqual(await flags(tenant), { smtp: [true, false], resend: [false, false] });
    await put(tenant, CONFIGS.resend, { is_primary: true, is_bulk: true });
    assert.deepEqual(await flags(tenant), { smtp: [false, false], resend: [true, true] });
    await put(tenant, CONFIGS.resend);
    assert.deepEqual(await flags(tenant), { smtp: [false, false], resend: [true, true] }, 'left out: as it was');
    await put(tenant, CONFIGS.smtp, { is_bulk: true });
    assert.deepEqual(await flags(tenant), { smtp: [false, true], resend: [true, false] });
    await put(tenant, CONFIGS.resend, { is_primary: false });
    assert.deepEqual(await flags(tenant), { smtp: [false, true], resend: [false, false] });
  });

  it('the flags stay on one each when many are set at once', async () => {
    const tenant = await aTenant(api);
    const configs = Object.values(CONFIGS);
    const jobs = Array.from({ length: 48 }, (_, i) => configs[i % configs.length]!);
    const replies = await inParallel(jobs, 12, (config) => put(tenant, config, { is_primary: true, is_bulk: true }));
    for (const reply of replies) assert.equal(reply.status, 200, reply.text);
    const listed = await list(tenant);
    assert.equal(listed.length, configs.length);
    for (const flag of ['is_primary', 'is_bulk']) {
      assert.equal(listed.filter((one: Record<string, unknown>) => one[flag]).length, 1, flag);
    }
    const fresh = await aTenant(api);
    await inParallel(configs, 6, (config) => put(fresh, config));
    assert.equal((await list(fresh)).filter((one: { is_primary: boolean }) => one.is_primary).length, 1);
  });

  it('need a client key with providers:write', async () => {
    const tenant = await aTenant(api);
    const user = await aUser(tenant);
    const mint = async (scope: string) => {
      const reply = await api.call('POST', '/clients/me/keys', { key: tenant.key, body: { scopes: [scope] } });
      return reply.body.data.key as string;
    };
    const [narrow, other] = [await mint('providers:write'), await mint('notifications:write')];
    const calls: [string, string, object | undefined][] = [
      ['PUT', PATH, { provider_config: CONFIGS.smtp, ...FROM }],
      ['GET', PATH, undefined],
      ['POST', `${PATH}/validate`, {}],
      ['DELETE', `${PATH}/smtp`, undefined],
    ];
    for (const [method, path, body] of calls) {
      for (const key of [user.key, other]) {
        assertError(await api.call(method, path, { key, body }), 403, 'INSUFFICIENT_PERMISSIONS', `${method} ${path}`);
      }
      const reply = await api.call(method, path, { key: narrow, body });
      assert.ok(reply.status < 300, reply.text);
    }
  });

  it('are of their client alone, and gone with it', async () => {
    const [a, b] = [await aTenant(api), await aTenant(api)];
    await put(a, CONFIGS.smtp);
    assert.deepEqual(await list(b), []);
    assertError(await api.call('DELETE', `${PATH}/smtp`, { key: b.key }), 404, 'RESOURCE_NOT_FOUND');
    const validated = await api.call('POST', `${PATH}/validate`, { key: b.key, body: {} });
    assert.deepEqual(validated.body.data, { results: {}, all_valid: false });
    assert.equal((await list(a)).length, 1);
    await api.call('DELETE', '/clients/me', { key: a.key, body: { confirm: a.name } });
    assert.deepEqual(await api.database.query('SELECT 1 FROM email_providers WHERE client_id = $1', [a.id]), []);
  });

  it('are examined as given, without storing, or as stored', async () => {
    const tenant = await aTenant(api);
    const validate = async (body?: object) => {
      const reply = await api.call('POST', `${PATH}/validate`, { key: tenant.key, body });
      assert.equal(reply.status, 200, reply.text);
      assert.doesNotMatch(reply.text, /planted/);
      return reply.body.data;
    };
    const good = { provider_type: 'smtp', host: '127.0.0.1', port: server.port, security: 'none' };
    const given = await validate({ provider_config: good, ...FROM });
    assert.equal(given.all_valid, true);
    assert.deepEqual(
      given.results.smtp.steps.map((one: { step: string }) => one.step),
      ['dns', 'connect', 'tls', 'auth', 'sender'],
    );
    assert.deepEqual(await list(tenant), []);
    assert.equal(server.taken.length, 0);
    const sending = await validate({ provider_config: good, ...FROM, test_recipient: 'me@example.com' });
    assert.equal(sending.all_valid, true);
    assert.equal(server.taken.length, 1);
    assertInvalid(await api.call('POST', `${PATH}/validate`, { key: tenant.key, body: { provider_config: good } }), [
      'default_from_email',
    ]);
    await put(tenant, good);
    await put(tenant, CONFIGS.resend);
    for (const stored of [await validate(), await validate({})]) {
      assert.equal(stored.all_valid, false);
      assert.equal(stored.results.smtp.valid, true);
      assert.equal(stored.results.resend.valid, false);
      assert.deepEqual(stored.results.resend.steps.at(-1), {
        step: 'connect',
        ok: false,
        detail: 'The provider does not take connections',
        error_code: 'EMAIL_CONNECT_FAILED',
      });
    }
  });
});

describe('Secrets of email providers', () => {
  const keys = [randomBytes(32), randomBytes(32)].map((key) => key.toString('base64'));

  it('are nowhere in clear: not in a row, an answer or a log line', async () => {
    const written: string[] = [];
    const logger = pino({ level: 'trace' }, { write: (line: string) => void written.push(line) });
    const api = await startApi({ ...LOOPBACK, LOG_LEVEL: 'trace' }, undefined, logger);
    const answers: string[] = [];
    try {
      const tenant = await aTenant(api);
      const ask = async (method: string, path: string, body?: object) => {
        const headers = { 'idempotency-key': randomUUID() };
        answers.push((await api.call(method, path, { key: tenant.key, body, headers })).text);
      };
      for (const provider_config of Object.values(CONFIGS)) {
        await ask('PUT', PATH, { provider_config, ...FROM });
        await ask('PUT', PATH, { provider_config: { ...provider_config, port: -1, region: 'x', api_key: 5 }, ...FROM });
        await ask('POST', `${PATH}/validate`, { provider_config, ...FROM, test_recipient: 'me@example.com' });
      }
      await ask('GET', PATH);
      await ask('POST', `${PATH}/validate`);
      for (let attempt = 1; attempt <= 6; attempt++) {
        const mail = aMail({ clientId: tenant.id, attempt, to: 'me@example.com' });
        answers.push(JSON.stringify(await api.app.get(Mailer).send(mail, new AbortController().signal)));
      }
      assert.equal(answers.length, 26);
      assert.doesNotMatch(answers.join('\n'), /planted/);
      const tables = await api.database.query<{ name: string }>(
        `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'`,
      );
      for (const { name } of tables) {
        const rows = await api.database.query<{ row: string }>(
          `SELECT t::text AS row FROM ${name} t WHERE t::text LIKE '%planted-secret%' OR t::text LIKE '%' || encode('planted-secret', 'hex') || '%'`,
        );
        assert.deepEqual(rows, [], name);
      }
    } finally {
      await api.stop();
    }
    assert.ok(
      written.some((line) => line.includes('email-providers')),
      'the log was on',
    );
    assert.doesNotMatch(written.join(''), /planted/);
  });

  it('are read with any key and sealed with the first: on write, and by themselves', async () => {
    const before = await startApi({ ...LOOPBACK, ENCRYPTION_KEY: keys[0]! });
    const tenant = await aTenant(before);
    const stored = async () =>
      (
        await before.database.query<{ config: Buffer }>(
          'SELECT config FROM email_providers WHERE client_id = $1 ORDER BY provider_type',
          [tenant.id],
        )
      ).map(({ config }) => config);
    for (const provider_config of [CONFIGS.resend, CONFIGS.smtp]) {
      await before.call('PUT', PATH, { key: tenant.key, body: { provider_config, ...FROM } });
    }
    const first = await stored();
    const rotated = await startApi({ ...LOOPBACK, ENCRYPTION_KEY: `${keys[1]!},${keys[0]!}` });
    const shown = async (api: TestApi) =>
      (await api.call('GET', `${PATH}?order=asc`, { key: tenant.key })).body.data.map(
        (one: { provider_config: unknown }) => one.provider_config,
      );
    assert.deepEqual(await shown(rotated), [
      { ...CONFIGS.resend, api_key: '****6666' },
      { ...CONFIGS.smtp, password: '****1111' },
    ]);
    await rotated.call('PUT', PATH, { key: tenant.key, body: { provider_config: CONFIGS.resend, ...FROM } });
    const second = await stored();
    assert.notDeepEqual(second[0]!.subarray(0, 4), first[0]!.subarray(0, 4), 'written: sealed by the new key');
    assert.deepEqual(second[1], first[1], 'the other is as it was');
    await rotated.app.get(ResealSecretsProcessor, { strict: false }).run();
    const third = await stored();
    assert.deepEqual(third[1]!.subarray(0, 4), second[0]!.subarray(0, 4));
    const after = await startApi({ ...LOOPBACK, ENCRYPTION_KEY: keys[1]! });
    assert.deepEqual(await shown(after), await shown(rotated));
    assert.deepEqual(await shown(before), [null, null], 'without the key: nothing to show, and no failure');
    const mailer = before.app.get(Mailer);
    const outcome = await mailer.send(aMail({ clientId: tenant.id }), new AbortController().signal);
    assert.deepEqual([outcome.result, outcome.errorCode], ['retry', 'EMAIL_SECRET_UNREADABLE']);
    await Promise.all([before.stop(), rotated.stop(), after.stop()]);
  });
});
