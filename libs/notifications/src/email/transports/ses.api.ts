import { AwsV4Signer } from 'aws4fetch';
import type { EmailFaultCode } from '../email-faults.js';
import { renderMessage } from '../mail-message.js';
import type { SesConfig } from '../provider-configs.js';
import { textOf, type ApiAnswer, type ApiRequest, type HttpApi } from './http-api.js';

/** What the exceptions of the API mean. */
const EXCEPTIONS: Record<string, EmailFaultCode> = {
  TooManyRequestsException: 'EMAIL_RATE_LIMITED',
  ThrottlingException: 'EMAIL_RATE_LIMITED',
  Throttling: 'EMAIL_RATE_LIMITED',
  LimitExceededException: 'EMAIL_RATE_LIMITED',
  AccountSuspendedException: 'EMAIL_ACCOUNT_REFUSED',
  SendingPausedException: 'EMAIL_ACCOUNT_REFUSED',
  AccessDeniedException: 'EMAIL_AUTH_FAILED',
  MailFromDomainNotVerifiedException: 'EMAIL_SENDER_REFUSED',
  NotFoundException: 'EMAIL_SENDER_REFUSED',
  MessageRejected: 'EMAIL_CONTENT_REFUSED',
};

/** The name of an exception, which stands in a header or in the body, with or without decoration. */
function exceptionOf(answer: ApiAnswer): string {
  const named = answer.headers['x-amzn-errortype'] ?? textOf(answer.json['__type']) ?? '';
  return named.split(':')[0]!.split('#').at(-1)!;
}

async function signed(config: SesConfig, request: Omit<ApiRequest, 'url'>, path: string): Promise<ApiRequest> {
  const url = `${config.base_url ?? `https://email.${config.region}.amazonaws.com`}${path}`;
  const signature = await new AwsV4Signer({
    method: request.method,
    url,
    headers: request.headers,
    body: request.body,
    accessKeyId: config.aws_access_key_id,
    secretAccessKey: config.aws_secret_access_key,
    region: config.region,
    service: 'ses',
  }).sign();
  return { ...request, url, headers: Object.fromEntries(signature.headers) };
}

function meaningOf(answer: ApiAnswer): EmailFaultCode | undefined {
  const exception = exceptionOf(answer);
  if (exception === 'MessageRejected' && /not verified/i.test(textOf(answer.json['message']) ?? '')) {
    return 'EMAIL_SENDER_REFUSED';
  }
  return answer.status < 500 && Object.hasOwn(EXCEPTIONS, exception) ? EXCEPTIONS[exception] : undefined;
}

/** SES v2 SendEmail with our own message, signed with SigV4; 200 with `MessageId`. */
export const sesApi: HttpApi<SesConfig> = {
  send: async (config, message) => {
    const body = JSON.stringify({
      FromEmailAddress: message.from.address,
      Destination: { ToAddresses: [message.to], CcAddresses: message.cc, BccAddresses: message.bcc },
      Content: { Raw: { Data: (await renderMessage(message)).toString('base64') } },
    });
    const headers = { 'content-type': 'application/json', accept: 'application/json' };
    return signed(config, { method: 'POST', headers, body }, '/v2/email/outbound-emails');
  },
  receipt: (answer) => {
    const id = textOf(answer.json['MessageId']);
    return answer.status === 200 && id ? { providerMessageId: id } : undefined;
  },
  refusal: meaningOf,
  probe: (config) => signed(config, { method: 'GET', headers: { accept: 'application/json' } }, '/v2/email/account'),
  probed: (answer) => {
    if (answer.status === 200) {
      if (typeof answer.json['SendingEnabled'] !== 'boolean') return 'EMAIL_ANSWER_INVALID';
      return answer.json['SendingEnabled'] ? null : 'EMAIL_ACCOUNT_REFUSED';
    }
    // Signed by a known key, which may send and nothing else.
    return exceptionOf(answer) === 'AccessDeniedException' ? null : meaningOf(answer);
  },
};
