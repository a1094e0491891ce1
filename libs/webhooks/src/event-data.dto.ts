import { Id, Instant, Int, Nullable, OneOf, Text } from '#libs/common';

/** `data` of `message.deleted`. */
export class MessageDeletedEventDto {
  /** The room. */
  @Id()
  room_id: string;

  /** The message. */
  @Id()
  id: string;

  /** The user who deleted it; null: the client. */
  @Nullable()
  @Id()
  deleted_by: string | null;

  /** When it was deleted. */
  @Instant()
  deleted_at: string;
}

/** `data` of `room.joined`. */
export class RoomJoinedEventDto {
  /** The room. */
  @Id()
  room_id: string;

  /** Who joined. */
  @Id()
  user_id: string;

  /** Name of who joined. */
  @Text(0, 255, { example: 'John Doe' })
  user_name: string;

  /** When. */
  @Instant()
  joined_at: string;

  /** Role of the new member. */
  @OneOf(['owner', 'admin', 'member'])
  role: string;
}

/** `data` of `room.left`. */
export class RoomLeftEventDto {
  /** The room. */
  @Id()
  room_id: string;

  /** Whose membership ended. */
  @Id()
  user_id: string;

  /** Name of the user. */
  @Text(0, 255, { example: 'John Doe' })
  user_name: string;

  /** When. */
  @Instant()
  left_at: string;

  /** By itself, removed by others, or because the user was deleted. */
  @OneOf(['left', 'removed', 'deleted'])
  reason: string;
}

/** `data` of `user.deleted`. */
export class UserDeletedEventDto {
  /** The user. */
  @Id()
  id: string;

  /** When it was deleted. */
  @Instant()
  deleted_at: string;
}

/** `data` of `webhook.test`. */
export class WebhookTestEventDto {
  /** The endpoint under test. */
  @Id()
  webhook_id: string;

  /** Says that this is a test. */
  @Text(1, 255, { example: 'This is a test delivery' })
  message: string;
}

/** `meta` of every payload. */
export class WebhookMetaDto {
  /** The client the event belongs to. */
  @Id()
  client_id: string;

  /** The endpoint. */
  @Id()
  webhook_id: string;

  /** The delivery; the same as the header `webhook-id`. */
  @Id()
  delivery_id: string;

  /** Always 1: the body is the same bytes in every attempt. `X-ChatAPI-Attempt` has the number. */
  @Int(1, 1)
  attempt: number;
}
