import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { after, before, beforeEach, describe, it } from 'node:test';
import PostalMime from 'postal-mime';
import { PinnedHttp, ResolvingGuard } from '#libs/egress';
import {
  startHttpFake,
  type FakeAnswer,
  type FakeRequest,
  type HttpFake,
} from '../../../../../test/support/http-fake.js';
import { EMAIL_FAULTS, EmailFault, failedOutcome, type EmailFaultCode } from '../email-faults.js';
import { composeMessage } from '../mail-message.js';
import type { ProviderConfig, ProviderType } from '../provider-configs.js';
import { HttpTransport } from './http.transport.js';

const SECRET = 'planted-secret-6f1c';
const DELIVERY = '0198c0de-1111-7000-8000-000000000042';
const MESSAGE_ID = `<${DELIVERY}@chat.example.com>`;

const message = composeMessage(
  {
    clientId: 'c',
    deliveryId: DELIVERY,
    attempt: 1,
    recipientCount: 1,
    to: 'user@example.com',
    cc: ['cc@example.com'],
    bcc: ['bcc@example.com', 'USER@example.com'],
    copiesTaken: false,
    replyTo: 'reply@example.com',
    fromEmail: null,
    fromName: null,
    subject: 'Grüße "heute"',
    content: '<h1>Hello</h1>',
  },
  { address: 'support@acme.example', name: 'Änne "Acme"' },
  'chat.example.com',
);

/** The provider's API as documented: the request it wants, what it answers, and what that means to us. */
interface Provider {
  config: (base_url: string) => ProviderConfig;
  path: string;
  /** Fails when the request is not what the documentation asks for. */
  check: (request: FakeRequest, base: string) => void | Promise<void>;
  success: FakeAnswer;
  id: string;
  refusals: [FakeAnswer, EmailFaultCode][];
  probe: { method: string; path: string; good: FakeAnswer[]; bad: [FakeAnswer, EmailFaultCode][] };
}

const bearer = (request: FakeRequest) => assert.equal(request.headers.authorization, `Bearer ${SECRET}`);

const PROVIDERS: Record<Exclude<ProviderType, 'smtp'>, Provider> = {
  sendgrid: {
    config: (base_url) => ({ provider_type: 'sendgrid', api_key: SECRET, base_url }),
    path: '/v3/mail/send',
    check: (request) => {
      bearer(request);
      assert.deepEqual(JSON.parse(request.body), {
        personalizations: [
          {
            to: [{ email: 'user@example.com' }],
            cc: [{ email: 'cc@example.com' }],
            bcc: [{ email: 'bcc@example.com' }],
          },
        ],
        from: { email: 'support@acme.example', name: 'Änne "Acme"' },
        reply_to: { email: 'reply@example.com' },
        subject: 'Grüße "heute"',
        content: [
          { type: 'text/plain', value: 'Hello\n' },
          { type: 'text/html', value: '<h1>Hello</h1>' },
        ],
        headers: { 'Message-ID': MESSAGE_ID, 'X-ChatAPI-Delivery-Id': DELIVERY },
      });
    },
    success: { status: 202, headers: { 'x-message-id': 'sg-1' } },
    id: 'sg-1',
    refusals: [
      [
        {
          status: 400,
          body: { errors: [{ message: 'Does not contain a valid address.', field: 'personalizations.0.to.0.email' }] },
        },
        'EMAIL_RECIPIENT_REFUSED',
      ],
      [{ status: 400, body: { errors: [{ message: 'bad', field: 'content.0.value' }] } }, 'EMAIL_CONTENT_REFUSED'],
      [
        {
          status: 403,
          body: { errors: [{ message: 'The from address does not match a verified Sender Identity.', field: 'from' }] },
        },
        'EMAIL_SENDER_REFUSED',
      ],
      [{ status: 403, body: { errors: [{ message: 'access forbidden', field: null }] } }, 'EMAIL_ACCOUNT_REFUSED'],
      [
        { status: 401, body: { errors: [{ message: 'The provided authorization grant is invalid', field: null }] } },
        'EMAIL_AUTH_FAILED',
      ],
      [{ status: 413, body: { errors: [{ message: 'too large' }] } }, 'EMAIL_CONTENT_REFUSED'],
    ],
    probe: {
      method: 'GET',
      path: '/v3/scopes',
      good: [{ status: 200, body: { scopes: ['mail.send', 'alerts.read'] } }],
      bad: [
        [{ status: 200, body: { scopes: ['alerts.read'] } }, 'EMAIL_ACCOUNT_REFUSED'],
        [{ status: 401, body: { errors: [{ message: 'authorization required' }] } }, 'EMAIL_AUTH_FAILED'],
        [{ status: 403, body: { errors: [{ message: 'access forbidden' }] } }, 'EMAIL_AUTH_FAILED'],
        [{ status: 200, body: '<html>' }, 'EMAIL_ANSWER_INVALID'],
      ],
    },
  },
  mailgun: {
    config: (base_url) => ({
      provider_type: 'mailgun',
      api_key: SECRET,
      domain: 'mg.acme.example',
      region: 'us',
      base_url,
    }),
    path: '/v3/mg.acme.example/messages.mime',
    check: async (request) => {
      const login = Buffer.from(request.headers.authorization!.replace('Basic ', ''), 'base64').toString();
      assert.equal(login, `api:${SECRET}`);
      const form = await new Response(request.body, {
        headers: { 'content-type': request.headers['content-type']! },
      }).formData();
      assert.deepEqual(form.getAll('to'), ['user@example.com', 'cc@example.com', 'bcc@example.com']);
      const mail = await PostalMime.parse(await (form.get('message') as File).arrayBuffer());
      assert.equal(mail.messageId, MESSAGE_ID);
      assert.equal(mail.subject, 'Grüße "heute"');
      assert.equal(mail.bcc, undefined);
    },
    success: { status: 200, body: { id: '<20260101.1@mg.acme.example>', message: 'Queued. Thank you.' } },
    id: '<20260101.1@mg.acme.example>',
    refusals: [
      [
        { status: 400, body: { message: 'to parameter is not a valid address. please check documentation' } },
        'EMAIL_RECIPIENT_REFUSED',
      ],
      [{ status: 400, body: { message: 'Need at least one of text or html' } }, 'EMAIL_CONTENT_REFUSED'],
      [{ status: 401, body: 'Forbidden' }, 'EMAIL_AUTH_FAILED'],
      [{ status: 403, body: { message: 'Domain is not allowed to send' } }, 'EMAIL_ACCOUNT_REFUSED'],
      [{ status: 404, body: { message: 'Domain not found' } }, 'EMAIL_SENDER_REFUSED'],
    ],
    probe: {
      method: 'POST',
      path: '/v3/mg.acme.example/messages',
      good: [{ status: 400, body: { message: 'from parameter is missing' } }],
      bad: [
        [{ status: 401, body: 'Forbidden' }, 'EMAIL_AUTH_FAILED'],
        [{ status: 404, body: { message: 'Domain not found' } }, 'EMAIL_SENDER_REFUSED'],
        [{ status: 200, body: '<html>' }, 'EMAIL_ANSWER_INVALID'],
      ],
    },
  },
  postmark: {
    config: (base_url) => ({ provider_type: 'postmark', server_token: SECRET, message_stream: 'outbound', base_url }),
    path: '/email',
    check: (request) => {
      assert.equal(request.headers['x-postmark-server-token'], SECRET);
      assert.equal(request.headers.accept, 'application/json');
      assert.deepEqual(JSON.parse(request.body), {
        From: '"Änne \\"Acme\\"" <support@acme.example>',
        To: 'user@example.com',
        Cc: 'cc@example.com',
        Bcc: 'bcc@example.com',
        ReplyTo: 'reply@example.com',
        Subject: 'Grüße "heute"',
        TextBody: 'Hello\n',
        HtmlBody: '<h1>Hello</h1>',
        MessageStream: 'outbound',
        Headers: [
          { Name: 'Message-ID', Value: MESSAGE_ID },
          { Name: 'X-PM-KeepID', Value: 'true' },
          { Name: 'X-ChatAPI-Delivery-Id', Value: DELIVERY },
        ],
      });
    },
    success: { status: 200, body: { To: 'user@example.com', MessageID: 'b7bc2f4a', ErrorCode: 0, Message: 'OK' } },
    id: 'b7bc2f4a',
    refusals: [
      [
        { status: 422, body: { ErrorCode: 406, Message: 'Found inactive addresses: user@example.com' } },
        'EMAIL_RECIPIENT_REFUSED',
      ],
      [{ status: 422, body: { ErrorCode: 300, Message: 'Invalid email request' } }, 'EMAIL_CONTENT_REFUSED'],
      [{ status: 422, body: { ErrorCode: 400, Message: 'Sender signature not found' } }, 'EMAIL_SENDER_REFUSED'],
      [{ status: 422, body: { ErrorCode: 412, Message: 'Account is pending' } }, 'EMAIL_ACCOUNT_REFUSED'],
      [{ status: 401, body: { ErrorCode: 10, Message: 'Bad or missing Server API token' } }, 'EMAIL_AUTH_FAILED'],
    ],
    probe: {
      method: 'GET',
      path: '/server',
      good: [{ status: 200, body: { ID: 1, Name: 'Production' } }],
      bad: [
        [{ status: 401, body: { ErrorCode: 10, Message: 'Bad token' } }, 'EMAIL_AUTH_FAILED'],
        [{ status: 200, body: '<html>' }, 'EMAIL_ANSWER_INVALID'],
      ],
    },
  },
  ses: {
    config: (base_url) => ({
      provider_type: 'ses',
      aws_access_key_id: 'AKIAIOSFODNN7EXAMPLE',
      aws_secret_access_key: SECRET,
      region: 'eu-central-1',
      base_url,
    }),
    path: '/v2/email/outbound-emails',
    check: async (request) => {
      assert.equal(request.headers.authorization, signatureV4(request, SECRET, 'eu-central-1'));
      const body = JSON.parse(request.body);
      assert.equal(body.FromEmailAddress, 'support@acme.example');
      assert.deepEqual(body.Destination, {
        ToAddresses: ['user@example.com'],
        CcAddresses: ['cc@example.com'],
        BccAddresses: ['bcc@example.com'],
      });
      const mail = await PostalMime.parse(Buffer.from(body.Content.Raw.Data, 'base64'));
      assert.equal(mail.messageId, MESSAGE_ID);
      assert.equal(mail.from!.name, 'Änne "Acme"');
    },
    success: { status: 200, body: { MessageId: 'ses-1' } },
    id: 'ses-1',
    refusals: [
      [
        {
          status: 400,
          headers: { 'x-amzn-errortype': 'MessageRejected' },
          body: { message: 'Email address is not verified: support@acme.example' },
        },
        'EMAIL_SENDER_REFUSED',
      ],
      [
        { status: 400, headers: { 'x-amzn-errortype': 'BadRequestException:http://x' }, body: { message: 'bad' } },
        'EMAIL_CONTENT_REFUSED',
      ],
      [{ status: 400, body: { __type: 'com.amazon#MailFromDomainNotVerifiedException' } }, 'EMAIL_SENDER_REFUSED'],
      [{ status: 400, headers: { 'x-amzn-errortype': 'AccountSuspendedException' } }, 'EMAIL_ACCOUNT_REFUSED'],
      [{ status: 400, headers: { 'x-amzn-errortype': 'ThrottlingException' } }, 'EMAIL_RATE_LIMITED'],
      [{ status: 403, headers: { 'x-amzn-errortype': 'SignatureDoesNotMatch' } }, 'EMAIL_AUTH_FAILED'],
      [{ status: 403, headers: { 'x-amzn-errortype': 'UnrecognizedClientException' } }, 'EMAIL_AUTH_FAILED'],
    ],
    probe: {
      method: 'GET',
      path: '/v2/email/account',
      good: [
        { status: 200, body: { SendingEnabled: true } },
        { status: 403, headers: { 'x-amzn-errortype': 'AccessDeniedException' } },
      ],
      bad: [
        [{ status: 200, body: { SendingEnabled: false } }, 'EMAIL_ACCOUNT_REFUSED'],
        [{ status: 403, headers: { 'x-amzn-errortype': 'UnrecognizedClientException' } }, 'EMAIL_AUTH_FAILED'],
        [{ status: 200, body: '<html>' }, 'EMAIL_ANSWER_INVALID'],
      ],
    },
  },
  resend: {
    config: (base_url) => ({ provider_type: 'resend', api_key: SECRET, base_url }),
    path: '/emails',
    check: (request) => {
      bearer(request);
      assert.equal(request.headers['idempotency-key'], DELIVERY);
      assert.deepEqual(JSON.parse(request.body), {
        from: '"Änne \\"Acme\\"" <support@acme.example>',
        to: ['user@example.com'],
        cc: ['cc@example.com'],
        bcc: ['bcc@example.com'],
        reply_to: 'reply@example.com',
        subject: 'Grüße "heute"',
        text: 'Hello\n',
        html: '<h1>Hello</h1>',
        headers: { 'Message-ID': MESSAGE_ID, 'X-ChatAPI-Delivery-Id': DELIVERY },
      });
    },
    success: { status: 200, body: { id: '49a3999c' } },
    id: '49a3999c',
    refusals: [
      [
        { status: 422, body: { statusCode: 422, name: 'validation_error', message: 'Invalid `to` field' } },
        'EMAIL_CONTENT_REFUSED',
      ],
      [
        { status: 403, body: { statusCode: 403, name: 'validation_error', message: 'The domain is not verified' } },
        'EMAIL_SENDER_REFUSED',
      ],
      [
        { status: 422, body: { statusCode: 422, name: 'invalid_from_address', message: 'bad' } },
        'EMAIL_SENDER_REFUSED',
      ],
      [
        { status: 403, body: { statusCode: 403, name: 'invalid_api_key', message: 'API key is invalid' } },
        'EMAIL_AUTH_FAILED',
      ],
      [
        { status: 409, body: { statusCode: 409, name: 'concurrent_idempotent_requests', message: 'busy' } },
        'EMAIL_TEMPORARILY_REFUSED',
      ],
      [
        { status: 429, body: { statusCode: 429, name: 'daily_quota_exceeded', message: 'quota' } },
        'EMAIL_RATE_LIMITED',
      ],
    ],
    probe: {
      method: 'GET',
      path: '/domains',
      good: [
        { status: 200, body: { data: [] } },
        { status: 401, body: { statusCode: 401, name: 'restricted_api_key', message: 'only send' } },
      ],
      bad: [
        [{ status: 403, body: { statusCode: 403, name: 'invalid_api_key', message: 'bad' } }, 'EMAIL_AUTH_FAILED'],
        [{ status: 401, body: { statusCode: 401, name: 'missing_api_key', message: 'bad' } }, 'EMAIL_AUTH_FAILED'],
        [{ status: 200, body: '<html>' }, 'EMAIL_ANSWER_INVALID'],
      ],
    },
  },
};

/** SigV4 by its specification, computed apart from what signed the request. */
function signatureV4(request: FakeRequest, secret: string, region: string): string {
  const stated = /Credential=([^/]+)\/(\d+)\/([^,]+), ?SignedHeaders=([^,]+)/.exec(request.headers.authorization!)!;
  const [, keyId, day, scope, signedHeaders] = stated as unknown as [string, string, string, string, string];
  assert.equal(scope, `${region}/ses/aws4_request`);
  assert.ok(signedHeaders.split(';').includes('host'));
  const hash = (text: string) => createHash('sha256').update(text).digest('hex');
  const mac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();
  const headers = signedHeaders.split(';').map((name) => `${name}:${String(request.headers[name])}\n`);
  const canonical = [request.method, request.path, '', headers.join(''), signedHeaders, hash(request.body)].join('\n');
  const toSign = ['AWS4-HMAC-SHA256', request.headers['x-amz-date'], `${day}/${scope}`, hash(canonical)].join('\n');
  const key = [region, 'ses', 'aws4_request'].reduce<Buffer>((at, part) => mac(at, part), mac(`AWS4${secret}`, day));
  const signature = mac(key, toSign).toString('hex');
  return `AWS4-HMAC-SHA256 Credential=${keyId}/${day}/${scope}, SignedHeaders=${signedHeaders}, Signature=${signature}`;
}

for (const [type, provider] of Object.entries(PROVIDERS) as [ProviderType, Provider][]) {
  describe(`HttpTransport: ${type}`, () => {
    let fake: HttpFake;
    let http: PinnedHttp;
    let transport: HttpTransport;
    before(async () => {
      fake = await startHttpFake(() => provider.success);
      http = new PinnedHttp(new ResolvingGuard({ production: false, egressAllowedCidrs: ['127.0.0.0/8'] }));
      transport = new HttpTransport(http);
    });
    after(async () => {
      await http.close();
      await fake.close();
    });
    beforeEach(() => {
      fake.requests.length = 0;
    });

    const send = (signal = new AbortController().signal, sent = message) => {
      const config = provider.config(fake.url);
      const entry = {
        config,
        type,
        isPrimary: true,
        isBulk: false,
        defaultFromEmail: 'support@acme.example',
        defaultFromName: null,
        version: '1',
      };
      return transport.send('c', entry, sent, signal);
    };

    const fails = async (work: Promise<unknown>, code: EmailFaultCode, what: string): Promise<EmailFault> => {
      const error: unknown = await work.then(
        () => assert.fail(`${what} did not fail`),
        (reason: unknown) => reason,
      );
      assert.ok(error instanceof EmailFault, `${what}: ${String((error as Error).stack)}`);
      assert.equal(error.code, code, what);
      const outcome = failedOutcome(error, type, false);
      assert.equal(outcome.result, EMAIL_FAULTS[code][0] === 'retry' ? 'retry' : 'failed', what);
      assert.doesNotMatch(JSON.stringify(outcome), /example|planted|Grüße|Hello|127\.0/, what);
      return error;
    };

    it('sends the documented request and reads the documented answer', async () => {
      fake.answer = () => provider.success;
      const receipt = await send();
      assert.deepEqual(receipt, {
        providerMessageId: provider.id,
        statusCode: (provider.success as { status: number }).status,
      });
      assert.equal(fake.requests.length, 1);
      const [request] = fake.requests;
      assert.equal(request!.method, 'POST');
      assert.equal(request!.path, provider.path);
      await provider.check(request!, fake.url);
    });

    it('leaves out those in copy who have it already', async () => {
      fake.answer = () => provider.success;
      await send(undefined, { ...message, copiesTaken: true });
      // SES gets the message in base64.
      const raw = /"Data":"([^"]+)"/.exec(fake.requests[0]!.body)?.[1] ?? '';
      const body = fake.requests[0]!.body + Buffer.from(raw, 'base64').toString();
      assert.match(body, /user@example/);
      assert.doesNotMatch(body, /cc@example/);
    });

    it('reads the documented refusals', async () => {
      for (const [answer, code] of provider.refusals) {
        fake.answer = () => answer;
        const fault = await fails(send(), code, JSON.stringify(answer));
        assert.equal(fault.details.statusCode, (answer as { status: number }).status);
      }
    });

    it('comes back later: rate limit with Retry-After, 5xx, silence, a broken connection', async () => {
      fake.answer = () => ({ status: 429, headers: { 'retry-after': '17' }, body: {} });
      const limited = await fails(send(), 'EMAIL_RATE_LIMITED', '429');
      assert.equal(limited.details.retryAfterMs, 17_000);
      assert.equal(failedOutcome(limited, type, false).retryAfterMs, 17_000);
      for (const status of [500, 502, 503, 504]) {
        fake.answer = () => ({ status, headers: { 'retry-after': '5' }, body: '<html>oops</html>' });
        const fault = await fails(send(), 'EMAIL_PROVIDER_UNAVAILABLE', String(status));
        assert.equal(fault.details.retryAfterMs, 5_000);
      }
      fake.answer = () => 'cut';
      await fails(send(), 'EMAIL_CONNECTION_BROKEN', 'cut');
      fake.answer = () => 'silence';
      await fails(send(AbortSignal.timeout(150)), 'EMAIL_TIMEOUT', 'silence');
    });

    it('takes nothing for a success but the documented one', async () => {
      const answers: FakeAnswer[] = [
        { status: 200, body: '<html>Welcome to the hotel network</html>', headers: { 'content-type': 'text/html' } },
        { status: 200, body: '{"id":' },
        { status: 200, body: [] },
        { status: 200, body: {} },
        { status: 200, body: 'null' },
        { status: 201, body: 'x'.repeat(300_000) },
        { status: 302, headers: { location: 'http://127.0.0.1:1/' } },
      ];
      for (const answer of answers) {
        fake.answer = () => answer;
        await fails(send(), 'EMAIL_ANSWER_INVALID', JSON.stringify(answer).slice(0, 80));
      }
    });

    it('probes the credentials without sending', async () => {
      for (const answer of provider.probe.good) {
        fake.answer = () => answer;
        await transport.probe(provider.config(fake.url), 2_000);
      }
      const [request] = fake.requests;
      assert.equal(request!.method, provider.probe.method);
      assert.equal(request!.path, provider.probe.path);
      assert.equal(request!.body, '');
      for (const [answer, code] of provider.probe.bad) {
        fake.answer = () => answer;
        await fails(transport.probe(provider.config(fake.url), 2_000), code, JSON.stringify(answer));
      }
      fake.answer = () => ({ status: 503 });
      await fails(transport.probe(provider.config(fake.url), 2_000), 'EMAIL_PROVIDER_UNAVAILABLE', '503');
    });
  });
}
