import { Module } from '@nestjs/common';
import { UsersModule } from '#libs/users';
import { EmailProvidersModule } from './email/email-providers.module.js';
import { PostWebhookHandler } from './jobs/post-webhook.handler.js';
import { PushToSocketsHandler } from './jobs/push-to-sockets.handler.js';
import { SendEmailHandler } from './jobs/send-email.handler.js';
import { NotificationAnalyticsRepository } from './notification-analytics.repository.js';
import { NotificationAnalyticsService } from './notification-analytics.service.js';
import { NotificationInboxController } from './notification-inbox.controller.js';
import { NotificationInboxRepository } from './notification-inbox.repository.js';
import { NotificationInboxService } from './notification-inbox.service.js';
import { NotificationSecrets } from './notification-secrets.js';
import { NotificationSettlement } from './notification-settlement.js';
import { NotificationSettlementRepository } from './notification-settlement.repository.js';
import { NotificationSourceRepository, NotificationSources } from './notification-source.repository.js';
import { NotificationWriter } from './notification-writer.js';
import { NotificationsController } from './notifications.controller.js';
import { NotificationsRepository } from './notifications.repository.js';
import { NotificationsService } from './notifications.service.js';

/** Notifications: the routes, and what brings them to people. */
@Module({
  imports: [UsersModule, EmailProvidersModule],
  controllers: [NotificationsController, NotificationInboxController],
  providers: [
    NotificationsService,
    NotificationsRepository,
    NotificationWriter,
    NotificationAnalyticsService,
    NotificationAnalyticsRepository,
    NotificationInboxService,
    NotificationInboxRepository,
    NotificationSecrets,
    NotificationSettlement,
    NotificationSettlementRepository,
    NotificationSourceRepository,
    NotificationSources,
    SendEmailHandler,
    PushToSocketsHandler,
    PostWebhookHandler,
  ],
})
export class NotificationsModule {}
