import type { EgressResponse } from '#libs/egress';
import type { EmailFaultCode } from '../email-faults.js';
import type { MailMessage } from '../mail-message.js';
import type { MailReceipt } from './mail-transport.js';

/** A request of a provider's API. */
export interface ApiRequest {
  method: 'GET' | 'POST';
  url: string;
  headers: Record<string, string>;
  body?: string | Buffer;
}

/** What is known of an answer beyond its status. */
export interface ApiAnswer extends EgressResponse {
  /** The body where it is a JSON object, else an empty one. */
  json: Record<string, unknown>;
}

/** How a provider is spoken to. What it answers is read for codes only: its words may hold addresses and content. */
export interface HttpApi<Config> {
  /** The request that sends a message. */
  send(config: Config, message: MailMessage): Promise<ApiRequest>;
  /** What a success says; undefined when it is not the documented answer. */
  receipt(answer: ApiAnswer): MailReceipt | undefined;
  /** What a refusal means, where the status alone does not say it. */
  refusal(answer: ApiAnswer): EmailFaultCode | undefined;
  /** A cheap request that needs the credentials. */
  probe(config: Config): Promise<ApiRequest>;
  /** What the probe's answer says of the credentials, where the status alone does not; null: they are good. */
  probed(answer: ApiAnswer): EmailFaultCode | null | undefined;
}

/** A text field of a JSON answer. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** A JSON body with its headers. */
export function jsonBody(body: unknown): { headers: Record<string, string>; body: string } {
  return {
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify(body),
  };
}
