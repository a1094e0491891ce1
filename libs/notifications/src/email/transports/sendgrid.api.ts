import { DELIVERY_HEADER, type MailMessage } from '../mail-message.js';
import type { SendgridConfig } from '../provider-configs.js';
import { jsonBody, textOf, type ApiAnswer, type HttpApi } from './http-api.js';

const HOST = 'https://api.sendgrid.com';

const mailboxes = (addresses: readonly string[]) =>
  addresses.length === 0 ? undefined : addresses.map((email) => ({ email }));

function bodyOf(message: MailMessage): object {
  const { from, replyTo, subject, text, html } = message;
  return {
    personalizations: [{ to: [{ email: message.to }], cc: mailboxes(message.cc), bcc: mailboxes(message.bcc) }],
    from: { email: from.address, name: from.name ?? undefined },
    reply_to: replyTo === null ? undefined : { email: replyTo },
    subject,
    content: [{ type: 'text/plain', value: text }, ...(html === null ? [] : [{ type: 'text/html', value: html }])],
    headers: { 'Message-ID': message.messageId, [DELIVERY_HEADER]: message.deliveryId },
  };
}

/** The field that the first of the documented `errors` is about. */
function faultyField(answer: ApiAnswer): string | undefined {
  const errors = answer.json['errors'];
  return Array.isArray(errors) ? textOf((errors[0] as Record<string, unknown> | undefined)?.['field']) : undefined;
}

/** SendGrid's v3 Mail Send: 202 with `X-Message-Id`; failures carry `{errors: [{message, field}]}`. */
export const sendgridApi: HttpApi<SendgridConfig> = {
  send: async (config, message) => {
    const { headers, body } = jsonBody(bodyOf(message));
    return {
      method: 'POST',
      url: `${config.base_url ?? HOST}/v3/mail/send`,
      headers: { ...headers, authorization: `Bearer ${config.api_key}` },
      body,
    };
  },
  receipt: (answer) =>
    answer.status === 202 ? { providerMessageId: textOf(answer.headers['x-message-id']) } : undefined,
  refusal: (answer) => {
    const field = faultyField(answer) ?? '';
    if (/^from\b/.test(field) && [400, 403].includes(answer.status)) return 'EMAIL_SENDER_REFUSED';
    if (answer.status === 400 && /^personalizations\.\d+\.(to|cc|bcc)/.test(field)) return 'EMAIL_RECIPIENT_REFUSED';
    return answer.status === 403 ? 'EMAIL_ACCOUNT_REFUSED' : undefined;
  },
  probe: async (config) => ({
    method: 'GET',
    url: `${config.base_url ?? HOST}/v3/scopes`,
    headers: { accept: 'application/json', authorization: `Bearer ${config.api_key}` },
  }),
  probed: (answer) => {
    if (answer.status === 403) return 'EMAIL_AUTH_FAILED';
    if (answer.status !== 200) return undefined;
    const scopes = answer.json['scopes'];
    if (!Array.isArray(scopes)) return 'EMAIL_ANSWER_INVALID';
    return scopes.includes('mail.send') ? null : 'EMAIL_ACCOUNT_REFUSED';
  },
};
