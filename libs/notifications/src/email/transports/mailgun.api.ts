import { renderMessage } from '../mail-message.js';
import type { MailgunConfig } from '../provider-configs.js';
import { textOf, type HttpApi } from './http-api.js';

const HOSTS = { us: 'https://api.mailgun.net', eu: 'https://api.eu.mailgun.net' };

const authorization = ({ api_key }: MailgunConfig): string =>
  `Basic ${Buffer.from(`api:${api_key}`).toString('base64')}`;

const rootOf = (config: MailgunConfig): string =>
  `${config.base_url ?? HOSTS[config.region]}/v3/${encodeURIComponent(config.domain)}`;

/** A form with its content type, which names the boundary. */
async function multipart(form: FormData): Promise<{ contentType: string; body: Buffer }> {
  const encoded = new Response(form);
  return { contentType: encoded.headers.get('content-type')!, body: Buffer.from(await encoded.arrayBuffer()) };
}

/** Mailgun's v3 messages.mime: our own message, to the recipients of the form; 200 with `{id, message}`. */
export const mailgunApi: HttpApi<MailgunConfig> = {
  send: async (config, message) => {
    const form = new FormData();
    for (const address of [message.to, ...message.cc, ...message.bcc]) form.append('to', address);
    form.append('message', new Blob([new Uint8Array(await renderMessage(message))]), 'message.eml');
    const { contentType, body } = await multipart(form);
    return {
      method: 'POST',
      url: `${rootOf(config)}/messages.mime`,
      headers: { 'content-type': contentType, accept: 'application/json', authorization: authorization(config) },
      body,
    };
  },
  receipt: (answer) => {
    const id = textOf(answer.json['id']);
    return answer.status === 200 && id ? { providerMessageId: id } : undefined;
  },
  refusal: (answer) => {
    if (answer.status === 400 && /\bto parameter\b/i.test(textOf(answer.json['message']) ?? '')) {
      return 'EMAIL_RECIPIENT_REFUSED';
    }
    if (answer.status === 404) return 'EMAIL_SENDER_REFUSED';
    return answer.status === 402 || answer.status === 403 ? 'EMAIL_ACCOUNT_REFUSED' : undefined;
  },
  // Without its fields: a key that may only send cannot ask anything else, and this sends nothing.
  probe: async (config) => ({
    method: 'POST',
    url: `${rootOf(config)}/messages`,
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      accept: 'application/json',
      authorization: authorization(config),
    },
    body: '',
  }),
  probed: (answer) => {
    if (answer.status === 400) return null;
    if (answer.status === 404) return 'EMAIL_SENDER_REFUSED';
    return answer.status === 402 || answer.status === 403 ? 'EMAIL_ACCOUNT_REFUSED' : undefined;
  },
};
