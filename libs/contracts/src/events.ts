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

/** What an endpoint may subscribe with: every name, every family, everything. */
export const EVENT_PATTERNS: readonly string[] = [
  ...EVENT_NAMES,
  ...new Set(EVENT_NAMES.map((name) => `${name.split('.')[0]!}.*`)),
  '*',
];

/** The event of a test delivery: no change lies behind it, and only the endpoint under test is told. */
export const TEST_EVENT = 'webhook.test';
