import type { Priority } from '#libs/jobs';
import type { InboxNotificationDto } from './notification-inbox.dto.js';

/** What a reader is shown of a notification. */
export interface InboxSource {
  id: string;
  subject: string | null;
  content: string;
  priority: Priority;
  meta: Record<string, unknown>;
}

/** A row of an inbox. */
export interface InboxRow extends InboxSource {
  room_id: string | null;
  read_at: Date | null;
  created_at: Date;
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value.length > 0 ? value : null;
}

/** The part that inbox and frame have in common. */
export function toInboxContent(
  source: InboxSource,
): Pick<InboxNotificationDto, 'id' | 'title' | 'content' | 'action_url' | 'priority' | 'icon' | 'meta'> {
  return {
    id: source.id,
    title: source.subject,
    content: source.content,
    action_url: text(source.meta['action_url']),
    priority: source.priority,
    icon: text(source.meta['icon']),
    meta: source.meta,
  };
}

/** Row → contract. */
export function toInboxDto(row: InboxRow): InboxNotificationDto {
  return {
    ...toInboxContent(row),
    room_id: row.room_id,
    is_read: row.read_at !== null,
    read_at: row.read_at?.toISOString() ?? null,
    created_at: row.created_at.toISOString(),
  };
}
