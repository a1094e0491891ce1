import { DataSource } from 'typeorm';
import { ApiKeyEntity, ClientEntity } from '#libs/clients';
import { dataSourceOptions } from '#libs/database';
import { EventEntity } from '#libs/events';
import { DeliveryAttemptEntity, DeliveryEntity, ScheduledJobEntity } from '#libs/jobs';
import { MessageEntity } from '#libs/messages';
import {
  EmailProviderEntity,
  NotificationEntity,
  NotificationInboxEntity,
  NotificationSecretEntity,
} from '#libs/notifications';
import { UsedTicketEntity } from '#libs/realtime';
import { RoomCounterEntity, RoomEntity, RoomMemberEntity } from '#libs/rooms';
import { IdempotencyRecordEntity } from '#libs/security';
import { UserEntity } from '#libs/users';
import { WebhookEndpointEntity } from '#libs/webhooks';

/** The data source of the TypeORM command line, on `DATABASE_URL`. */
export default new DataSource(
  dataSourceOptions(process.env.DATABASE_URL ?? '', [
    ClientEntity,
    ApiKeyEntity,
    UserEntity,
    RoomEntity,
    RoomCounterEntity,
    RoomMemberEntity,
    MessageEntity,
    IdempotencyRecordEntity,
    ScheduledJobEntity,
    EventEntity,
    DeliveryEntity,
    DeliveryAttemptEntity,
    WebhookEndpointEntity,
    NotificationEntity,
    NotificationInboxEntity,
    NotificationSecretEntity,
    EmailProviderEntity,
    UsedTicketEntity,
  ]),
);
