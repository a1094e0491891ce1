/** Every event webhooks can be told of. */
export const EVENT_NAMES = [
  'message.created',
  'message.updated',
  'message.deleted',
  'room.created',
  'room.updated',
  'room.deleted',
  'room.joined',
  'room.left',
  'user.created',
  'user.updated',
  'user.deleted',
  'client.updated',
  'notification.sent',
  'notification.failed',
  'webhook.disabled',
] as const;

/** One of {@link EVENT_NAMES}. */
export type EventName = (typeof EVENT_NAMES)[number];

/** What an endpoint may subscribe with to hear of an event: its name, its family, everything. */
export function patternsOf(event: EventName): string[] {
  return [event, `${event.split('.')[0]!}.*`, '*'];
}
