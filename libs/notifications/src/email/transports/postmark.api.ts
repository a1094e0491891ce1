import type { EmailFaultCode } from '../email-faults.js';
import { DELIVERY_HEADER, formatMailbox, type MailMessage } from '../mail-message.js';
import type { PostmarkConfig } from '../provider-configs.js';
import { jsonBody, textOf, type HttpApi } from './http-api.js';

const HOST = 'https://api.postmarkapp.com';

/** Postmark's own error codes, which come with a 422. */
const CODES: Record<number, EmailFaultCode> = {
  10: 'EMAIL_AUTH_FAILED',
  100: 'EMAIL_PROVIDER_UNAVAILABLE',
  400: 'EMAIL_SENDER_REFUSED',
  401: 'EMAIL_SENDER_REFUSED',
  405: 'EMAIL_ACCOUNT_REFUSED',
  406: 'EMAIL_RECIPIENT_REFUSED',
  412: 'EMAIL_ACCOUNT_REFUSED',
  413: 'EMAIL_ACCOUNT_REFUSED',
  429: 'EMAIL_RATE_LIMITED',
  1235: 'EMAIL_ACCOUNT_REFUSED',
};

const list = (addresses: readonly string[]) => (addresses.length === 0 ? undefined : addresses.join(','));

function bodyOf(config: PostmarkConfig, message: MailMessage): object {
  return {
    From: formatMailbox(message.from),
    To: message.to,
    Cc: list(message.cc),
    Bcc: list(message.bcc),
    ReplyTo: message.replyTo ?? undefined,
    Subject: message.subject,
    TextBody: message.text,
    HtmlBody: message.html ?? undefined,
    MessageStream: config.message_stream,
    Headers: [
      { Name: 'Message-ID', Value: message.messageId },
      // Postmark replaces the Message-ID otherwise.
      { Name: 'X-PM-KeepID', Value: 'true' },
      { Name: DELIVERY_HEADER, Value: message.deliveryId },
    ],
  };
}

/** Postmark's /email: 200 with `ErrorCode` 0 and `MessageID`; refusals are 422 with a code of its own. */
export const postmarkApi: HttpApi<PostmarkConfig> = {
  send: async (config, message) => {
    const { headers, body } = jsonBody(bodyOf(config, message));
    return {
      method: 'POST',
      url: `${config.base_url ?? HOST}/email`,
      headers: { ...headers, 'x-postmark-server-token': config.server_token },
      body,
    };
  },
  receipt: (answer) => {
    const id = textOf(answer.json['MessageID']);
    return answer.status === 200 && answer.json['ErrorCode'] === 0 && id ? { providerMessageId: id } : undefined;
  },
  refusal: (answer) => {
    const code = answer.json['ErrorCode'];
    return typeof code === 'number' && answer.status < 500 ? CODES[code] : undefined;
  },
  probe: async (config) => ({
    method: 'GET',
    url: `${config.base_url ?? HOST}/server`,
    headers: { accept: 'application/json', 'x-postmark-server-token': config.server_token },
  }),
  probed: (answer) => {
    if (answer.status === 200) return typeof answer.json['ID'] === 'number' ? null : 'EMAIL_ANSWER_INVALID';
    const code = answer.json['ErrorCode'];
    return typeof code === 'number' && answer.status < 500 ? CODES[code] : undefined;
  },
};
