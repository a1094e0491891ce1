import { newId, type FieldError } from '#libs/common';
import type { NewDelivery, Priority } from '#libs/jobs';
import type { EmailFallbackDto, NotificationCreateDto, NotificationType } from './notification.dto.js';

/** Names of the delivery handlers of notifications. */
export const KINDS = { email: 'email', websocket: 'websocket', webhook: 'notification.webhook' } as const;

/** What inserts a notification; names are those of its columns. */
export interface NotificationInsert {
  client_id: string;
  id: string;
  type: NotificationType;
  priority: Priority;
  subject: string | null;
  content: string;
  to_email: string | string[] | null;
  cc: string[] | null;
  bcc: string[] | null;
  reply_to: string | null;
  from_email: string | null;
  from_name: string | null;
  room_id: string | null;
  user_ids: string[] | null;
  webhook_url: string | null;
  email_fallback: EmailFallbackDto | null;
  meta: object;
  scheduled_for: string | null;
  recipients: number;
  created_at: string;
}

/** A notification with the deliveries it is committed with. */
export interface NotificationPlan {
  row: NotificationInsert;
  deliveries: NewDelivery[];
}

type Field = keyof NotificationCreateDto;

/** What each type needs, and what means nothing to it. */
const RULES: Record<NotificationType, { required: Field[]; refused: Field[] }> = {
  email: { required: ['to_email', 'subject'], refused: ['room_id', 'user_ids', 'webhook_url', 'email_fallback'] },
  websocket: {
    required: [],
    refused: ['to_email', 'cc', 'bcc', 'reply_to', 'from_email', 'from_name', 'webhook_url'],
  },
  webhook: {
    required: ['webhook_url'],
    refused: ['to_email', 'cc', 'bcc', 'reply_to', 'from_email', 'from_name', 'room_id', 'user_ids', 'email_fallback'],
  },
};

/** The rules between fields; each fault names the field that has to change. */
export function faultsOf(input: NotificationCreateDto, now: Date): FieldError[] {
  const errors: FieldError[] = [];
  const fault = (field: string, text: string): void => void errors.push({ field, message: `${field} ${text}` });
  const { required, refused } = RULES[input.type];
  for (const field of required) if (input[field] === undefined) fault(field, `is required for type ${input.type}`);
  for (const field of refused) if (input[field] !== undefined) fault(field, `has no meaning for type ${input.type}`);
  if (input.type === 'websocket' && input.room_id === undefined && input.user_ids === undefined) {
    fault('user_ids', 'or room_id is required for type websocket');
  }
  const fallback = input.email_fallback;
  if (fallback && fallback.enabled !== false) {
    if (fallback.to_email === undefined) fault('email_fallback.to_email', 'is required while the fallback is enabled');
    if ((fallback.subject ?? input.subject) === undefined) {
      fault('email_fallback.subject', 'is required where the notification has no subject');
    }
  }
  if (input.scheduled_for !== undefined) {
    const at = new Date(input.scheduled_for);
    const latest = new Date(now);
    latest.setUTCFullYear(latest.getUTCFullYear() + 1);
    if (at < now) fault('scheduled_for', 'must not be in the past');
    else if (at > latest) fault('scheduled_for', 'must be at most one year ahead');
  }
  return errors;
}

/** Different addresses in their order; two spellings that differ by case alone are one. */
export function distinctAddresses(addresses: string | readonly string[]): string[] {
  const seen = new Map<string, string>();
  for (const address of typeof addresses === 'string' ? [addresses] : addresses) {
    const key = address.toLowerCase();
    if (!seen.has(key)) seen.set(key, address);
  }
  return [...seen.values()];
}

/** What shares a limit of concurrency: all mail of a client; for webhooks the host that is asked. */
function laneOf(type: NotificationType, target: string): string {
  return type === 'webhook' ? `host:${new URL(target).host}`.slice(0, 64) : KINDS[type];
}

function targetsOf(input: NotificationCreateDto): string[] {
  if (input.type === 'email') return distinctAddresses(input.to_email!);
  if (input.type === 'webhook') return [input.webhook_url!];
  const users = [...new Set(input.user_ids?.map((id) => id.toLowerCase()))];
  return input.room_id === undefined ? users : [input.room_id.toLowerCase(), ...users];
}

/** Settles what is written, before the database is asked. The time of creation is that of the id, so both sort alike. */
export function planNotification(clientId: string, input: NotificationCreateDto): NotificationPlan {
  const id = newId();
  const targets = targetsOf(input);
  const dueAt = input.scheduled_for === undefined ? undefined : new Date(input.scheduled_for);
  const row: NotificationInsert = {
    client_id: clientId,
    id,
    type: input.type,
    priority: input.priority!,
    subject: input.subject ?? null,
    content: input.content,
    to_email: input.to_email ?? null,
    cc: input.cc ?? null,
    bcc: input.bcc ?? null,
    reply_to: input.reply_to ?? null,
    from_email: input.from_email ?? null,
    from_name: input.from_name ?? null,
    room_id: input.room_id?.toLowerCase() ?? null,
    user_ids: input.user_ids ? [...new Set(input.user_ids.map((user) => user.toLowerCase()))] : null,
    webhook_url: input.webhook_url ?? null,
    email_fallback: input.email_fallback ?? null,
    meta: input.meta ?? {},
    scheduled_for: dueAt?.toISOString() ?? null,
    recipients: targets.length,
    created_at: new Date(timeOf(id)).toISOString(),
  };
  const deliveries = targets.map((target) => ({
    id: newId(),
    clientId,
    kind: KINDS[input.type],
    sourceId: id,
    lane: laneOf(input.type, target),
    target,
    priority: input.priority!,
    dueAt,
  }));
  return { row, deliveries };
}

/** Unix milliseconds of a UUIDv7. */
function timeOf(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}
