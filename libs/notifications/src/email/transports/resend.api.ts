import type { EmailFaultCode } from '../email-faults.js';
import { DELIVERY_HEADER, formatMailbox, type MailMessage } from '../mail-message.js';
import type { ResendConfig } from '../provider-configs.js';
import { jsonBody, textOf, type ApiAnswer, type HttpApi } from './http-api.js';

const HOST = 'https://api.resend.com';

const list = (addresses: readonly string[]) => (addresses.length === 0 ? undefined : addresses);

function bodyOf(message: MailMessage): object {
  return {
    from: formatMailbox(message.from),
    to: [message.to],
    cc: list(message.cc),
    bcc: list(message.bcc),
    reply_to: message.replyTo ?? undefined,
    subject: message.subject,
    text: message.text,
    html: message.html ?? undefined,
    headers: { 'Message-ID': message.messageId, [DELIVERY_HEADER]: message.deliveryId },
  };
}

function meaningOf(answer: ApiAnswer): EmailFaultCode | undefined {
  const name = textOf(answer.json['name']) ?? '';
  switch (name) {
    case 'daily_quota_exceeded':
    case 'monthly_quota_exceeded':
    case 'rate_limit_exceeded':
      return 'EMAIL_RATE_LIMITED';
    case 'concurrent_idempotent_requests':
      return 'EMAIL_TEMPORARILY_REFUSED';
    case 'invalid_from_address':
      return 'EMAIL_SENDER_REFUSED';
    default:
      // 403 with this name: the domain of the sender is not verified.
      return name === 'validation_error' && answer.status === 403 ? 'EMAIL_SENDER_REFUSED' : undefined;
  }
}

/** Resend's /emails: 200 with `id`; failures carry `{statusCode, name, message}`. A repeat within a day sends nothing. */
export const resendApi: HttpApi<ResendConfig> = {
  send: async (config, message) => {
    const { headers, body } = jsonBody(bodyOf(message));
    return {
      method: 'POST',
      url: `${config.base_url ?? HOST}/emails`,
      headers: { ...headers, authorization: `Bearer ${config.api_key}`, 'idempotency-key': message.deliveryId },
      body,
    };
  },
  receipt: (answer) => {
    const id = textOf(answer.json['id']);
    return answer.status === 200 && id ? { providerMessageId: id } : undefined;
  },
  refusal: meaningOf,
  probe: async (config) => ({
    method: 'GET',
    url: `${config.base_url ?? HOST}/domains`,
    headers: { accept: 'application/json', authorization: `Bearer ${config.api_key}` },
  }),
  probed: (answer) => {
    if (answer.status === 200) return Array.isArray(answer.json['data']) ? null : 'EMAIL_ANSWER_INVALID';
    // A key that may send and nothing else.
    return textOf(answer.json['name']) === 'restricted_api_key' ? null : meaningOf(answer);
  },
};
