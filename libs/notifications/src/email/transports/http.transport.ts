import { EgressError, retryAfterMs, type EgressHttp, type EgressResponse } from '#libs/egress';
import { EmailFault, type EmailFaultCode } from '../email-faults.js';
import type { MailMessage } from '../mail-message.js';
import type { EmailProvider, ProviderConfig, ProviderType } from '../provider-configs.js';
import type { ApiAnswer, ApiRequest, HttpApi } from './http-api.js';
import type { MailReceipt, MailTransport } from './mail-transport.js';
import { mailgunApi } from './mailgun.api.js';
import { postmarkApi } from './postmark.api.js';
import { resendApi } from './resend.api.js';
import { sendgridApi } from './sendgrid.api.js';
import { sesApi } from './ses.api.js';
import { egressFault } from './smtp-faults.js';

const TIMEOUT_MS = 30_000;
const MAX_ANSWER_BYTES = 64 * 1024;

const APIS: Record<Exclude<ProviderType, 'smtp'>, HttpApi<never>> = {
  sendgrid: sendgridApi,
  mailgun: mailgunApi,
  postmark: postmarkApi,
  ses: sesApi,
  resend: resendApi,
};

/** The API of a provider, for a configuration of that provider. */
export function apiOf(config: ProviderConfig): HttpApi<ProviderConfig> {
  return APIS[config.provider_type as Exclude<ProviderType, 'smtp'>] as unknown as HttpApi<ProviderConfig>;
}

/** Sends by the HTTP API of a provider. */
export class HttpTransport implements MailTransport {
  constructor(private readonly http: EgressHttp) {}

  async send(
    _clientId: string,
    provider: EmailProvider,
    message: MailMessage,
    signal: AbortSignal,
  ): Promise<MailReceipt> {
    const config = provider.config!;
    const api = apiOf(config);
    const sent = message.copiesTaken ? { ...message, cc: [], bcc: [] } : message;
    const answer = await this.ask(await api.send(config, sent), TIMEOUT_MS, signal);
    const receipt = api.receipt(answer);
    if (receipt) return { ...receipt, statusCode: answer.status };
    throw faultOf(answer, api.refusal(answer));
  }

  /** Asks with the credentials and sends nothing; throws the {@link EmailFault} that stands in the way. */
  async probe(config: ProviderConfig, timeoutMs: number, signal?: AbortSignal): Promise<void> {
    const api = apiOf(config);
    const answer = await this.ask(await api.probe(config), timeoutMs, signal);
    const found = api.probed(answer);
    if (found !== null) throw faultOf(answer, found);
  }

  private async ask(request: ApiRequest, timeoutMs: number, signal?: AbortSignal): Promise<ApiAnswer> {
    try {
      const answer = await this.http.request({ ...request, timeoutMs, maxResponseBytes: MAX_ANSWER_BYTES, signal });
      return { ...answer, json: jsonOf(answer) };
    } catch (error) {
      throw error instanceof EgressError ? egressFault(error) : error;
    }
  }
}

function jsonOf(answer: EgressResponse): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(answer.body.toString());
    if (parsed !== null && typeof parsed === 'object' && !Array.isArray(parsed))
      return parsed as Record<string, unknown>;
  } catch {
    // Not JSON: then the status has to do.
  }
  return {};
}

function codeOf(status: number): EmailFaultCode {
  if (status === 401 || status === 403) return 'EMAIL_AUTH_FAILED';
  if (status === 429) return 'EMAIL_RATE_LIMITED';
  if (status === 408 || status === 409 || status === 425) return 'EMAIL_TEMPORARILY_REFUSED';
  if (status >= 500) return 'EMAIL_PROVIDER_UNAVAILABLE';
  return status >= 400 ? 'EMAIL_CONTENT_REFUSED' : 'EMAIL_ANSWER_INVALID';
}

function faultOf(answer: ApiAnswer, known: EmailFaultCode | undefined): EmailFault {
  return new EmailFault(known ?? codeOf(answer.status), {
    statusCode: answer.status,
    retryAfterMs: retryAfterMs(answer.headers['retry-after']),
  });
}
