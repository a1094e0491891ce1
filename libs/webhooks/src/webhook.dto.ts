import { Flag, Id, Ids, Instant, Int, ListQueryDto, ManyOf, Meta, Nullable, OneOf, Optional, Text } from '#libs/common';
import { EVENT_NAMES, EVENT_PATTERNS, TEST_EVENT } from '#libs/contracts';
import { CustomHeaders } from './custom-headers.js';

/** Why an endpoint is told of nothing: switched off, 410 Gone, or failing for five days. */
export const DISABLED_REASONS = ['manual', 'gone', 'failing'] as const;
/** One of {@link DISABLED_REASONS}. */
export type DisabledReason = (typeof DISABLED_REASONS)[number];

const URL_EXAMPLE = { example: 'https://example.com/chat-events', format: 'uri' };

/** An endpoint that is told of events. */
export class WebhookDto {
  /** Identifier. */
  @Id()
  id: string;

  /** Where events are posted to. */
  @Text(1, 2048, URL_EXAMPLE)
  url: string;

  /** What it is for. */
  @Nullable()
  @Text(0, 2000, { example: 'Search index' })
  description: string | null;

  /** What it hears of: names, families such as `message.*`, or `*`. */
  @ManyOf(EVENT_PATTERNS)
  events: string[];

  /** Only events of these rooms; empty: of every room, and those of no room. */
  @Ids(0, 100)
  room_ids: string[];

  /** Whether deliveries of one room go out strictly one after another. */
  @Flag({ example: false })
  ordered: boolean;

  /** Whether it is told of anything. */
  @Flag()
  is_active: boolean;

  /** Why it is not active. */
  @Nullable()
  @OneOf(DISABLED_REASONS)
  disabled_reason: DisabledReason | null;

  /** Headers sent with every delivery. */
  @CustomHeaders()
  custom_headers: Record<string, string>;

  /** Free data of the integrator. */
  @Meta()
  meta: object;

  /** When something was last posted to it, to the second. */
  @Nullable()
  @Instant()
  last_delivery_at: string | null;

  /** Attempts that failed since the last that succeeded. */
  @Int(0, Number.MAX_SAFE_INTEGER)
  consecutive_failures: number;

  /** When it was created. */
  @Instant()
  created_at: string;

  /** When it was last changed. */
  @Instant()
  updated_at: string;
}

/** An endpoint as answered once, when it is created. */
export class NewWebhookDto extends WebhookDto {
  /** The signing secret. */
  @Text(50, 50, { example: 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=' })
  secret: string;
}

/** What creates an endpoint. */
export class WebhookCreateDto {
  /** Where events are posted to: http or https, at most 2,048 characters, a public address. */
  @Text(1, 2048, URL_EXAMPLE)
  url: string;

  /** What it hears of: names, families such as `message.*`, or `*`. */
  @ManyOf(EVENT_PATTERNS)
  events: string[];

  /** What it is for, at most 2,000 characters. */
  @Optional()
  @Nullable()
  @Text(0, 2000, { example: 'Search index' })
  description?: string | null;

  /** Only events of these rooms, at most 100; empty: of every room, and those of no room. */
  @Optional()
  @Ids(0, 100, { example: [] })
  room_ids?: string[];

  /** Whether deliveries of one room go out strictly one after another; a failure then holds back that room. */
  @Optional()
  @Flag({ example: false })
  ordered?: boolean;

  /** False: created switched off. */
  @Optional()
  @Flag()
  is_active?: boolean;

  /** Headers sent with every delivery: at most 20 of 1,000 characters, none the server sets itself. */
  @Optional()
  @CustomHeaders()
  custom_headers?: Record<string, string>;

  /** Free data, a JSON object of at most 16 KiB. */
  @Optional()
  @Meta()
  meta?: object;
}

/** Changes to an endpoint; what is left out stays. */
export class WebhookUpdateDto {
  /** Where events are posted to; the next attempt of what is waiting goes there. */
  @Optional()
  @Text(1, 2048, URL_EXAMPLE)
  url?: string;

  /** What it hears of: names, families such as `message.*`, or `*`. */
  @Optional()
  @ManyOf(EVENT_PATTERNS)
  events?: string[];

  /** What it is for, at most 2,000 characters. */
  @Optional()
  @Nullable()
  @Text(0, 2000, { example: 'Search index' })
  description?: string | null;

  /** Only events of these rooms, at most 100; empty: of every room, and those of no room. */
  @Optional()
  @Ids(0, 100, { example: [] })
  room_ids?: string[];

  /** Whether deliveries of one room go out strictly one after another; holds for events from now on. */
  @Optional()
  @Flag({ example: false })
  ordered?: boolean;

  /** False: what is waiting is cancelled, and nothing more is sent. True: a disabled endpoint starts afresh. */
  @Optional()
  @Flag()
  is_active?: boolean;

  /** Headers sent with every delivery; replaces what was there. */
  @Optional()
  @CustomHeaders()
  custom_headers?: Record<string, string>;

  /** Free data; replaces what was there. */
  @Optional()
  @Meta()
  meta?: object;
}

/** How a signing secret is replaced. */
export class WebhookSecretRotateDto {
  /** Seconds the old secret goes on signing beside the new one, 0–86,400. */
  @Optional()
  @Int(0, 86_400, { example: 86_400 })
  grace_seconds?: number = 86_400;
}

/** The secret that signs an endpoint's deliveries. */
export class WebhookSigningSecretDto {
  /** The signing secret. */
  @Text(50, 50, { example: 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=' })
  secret: string;

  /** Until when the secret before it signs too; null: it does not. */
  @Nullable()
  @Instant()
  previous_secret_until: string | null;
}

/** What a test delivery tells. */
export class WebhookTestDto {
  /** Event whose example is sent; left out: `webhook.test`. */
  @Optional()
  @OneOf([TEST_EVENT, ...EVENT_NAMES])
  event?: string = TEST_EVENT;
}

/** How endpoints are listed. */
export class WebhookListQueryDto extends ListQueryDto {
  /** Only active, or only inactive endpoints. */
  @Optional()
  @Flag()
  is_active?: boolean;

  /** Sort column. */
  @Optional()
  @OneOf(['created_at', 'updated_at'])
  override sort?: string = 'created_at';
}
