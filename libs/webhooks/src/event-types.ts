import { Injectable } from '@nestjs/common';
import { ClientDto } from '#libs/clients';
import { TEST_EVENT, type EventName } from '#libs/contracts';
import { MessageDto } from '#libs/messages';
import { RoomDto } from '#libs/rooms';
import { UserDto } from '#libs/users';
import {
  MessageDeletedEventDto,
  NotificationEventDto,
  RoomJoinedEventDto,
  RoomLeftEventDto,
  UserDeletedEventDto,
  WebhookDisabledEventDto,
  WebhookTestEventDto,
} from './event-data.dto.js';
import type { EventTypeDto, EventTypesDto } from './event-type.dto.js';

/** What an event tells: its words, and the name of the schema of its `data`. */
export interface EventDescription {
  description: string;
  data: string;
}

/** Every event an endpoint can be posted. */
export type DeliveredEvent = EventName | typeof TEST_EVENT;

/** The catalogue, in the order of the contract. */
export const EVENT_DESCRIPTIONS: Record<DeliveredEvent, EventDescription> = {
  'message.created': { description: 'A message was sent.', data: MessageDto.name },
  'message.updated': { description: 'A message was edited.', data: MessageDto.name },
  'message.deleted': { description: 'A message was deleted.', data: MessageDeletedEventDto.name },
  'room.created': { description: 'A room was created.', data: RoomDto.name },
  'room.updated': { description: 'A room was changed, or put to rest.', data: RoomDto.name },
  'room.deleted': { description: 'A room was erased; the room as it last was.', data: RoomDto.name },
  'room.joined': { description: 'A user became a member of a room.', data: RoomJoinedEventDto.name },
  'room.left': { description: 'A membership ended.', data: RoomLeftEventDto.name },
  'user.created': { description: 'A user was created.', data: UserDto.name },
  'user.updated': { description: 'A user was changed.', data: UserDto.name },
  'user.deleted': { description: 'A user was deleted.', data: UserDeletedEventDto.name },
  'client.updated': { description: 'The client was changed.', data: ClientDto.name },
  'notification.sent': {
    description: 'A notification has reached all its recipients.',
    data: NotificationEventDto.name,
  },
  'notification.failed': {
    description: 'A notification has ended without reaching all its recipients.',
    data: NotificationEventDto.name,
  },
  'webhook.disabled': { description: 'Another endpoint was disabled.', data: WebhookDisabledEventDto.name },
  [TEST_EVENT]: { description: 'A test delivery, asked for by the client.', data: WebhookTestEventDto.name },
};

/** The catalogue with schemas and examples, as the OpenAPI document has them. */
@Injectable()
export class EventTypes {
  private types: EventTypeDto[] = [];

  /** Takes the types over from the document; called once, while the application is put together. */
  publish(types: EventTypeDto[]): void {
    this.types = types;
  }

  /** Every event. */
  list(): EventTypesDto {
    return { event_types: this.types };
  }

  /** An example of an event's `data`. */
  exampleOf(event: string): object {
    const found = this.types.find((type) => type.name === event);
    return (found?.example as { data?: object } | undefined)?.data ?? {};
  }
}
