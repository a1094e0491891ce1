import { Body, Controller, Get, Param, Post, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Returns, ReturnsPage, type Page } from '#libs/common';
import { Caller, ClientScopes, Idempotent, Limit, type Principal } from '#libs/security';
import { NotificationAnalyticsService } from './notification-analytics.service.js';
import { NotificationDetailDto } from './notification-detail.dto.js';
import { NotificationSecretDto } from './notification-inbox.dto.js';
import {
  NotificationAnalyticsDto,
  NotificationAnalyticsQueryDto,
  NotificationListQueryDto,
} from './notification-query.dto.js';
import { NotificationSecrets } from './notification-secrets.js';
import {
  NotificationBatchCreateDto,
  NotificationBatchDto,
  NotificationCreateDto,
  NotificationDto,
} from './notification.dto.js';
import { NotificationsService } from './notifications.service.js';

/** Notifications by e-mail, socket and webhook. */
@ApiTags('Notifications')
@Limit('notifications')
@Controller('notifications')
export class NotificationsController {
  constructor(
    private readonly notifications: NotificationsService,
    private readonly analytics: NotificationAnalyticsService,
    private readonly secrets: NotificationSecrets,
  ) {}

  /** Send a notification; it is durable when this answers, and delivered after. */
  @Post()
  @ClientScopes('notifications:write')
  @Idempotent()
  @Returns(NotificationDto, { status: 201, errors: ['RESOURCE_NOT_FOUND'] })
  create(@Caller() caller: Principal, @Body() body: NotificationCreateDto): Promise<NotificationDto> {
    return this.notifications.create(caller, body);
  }

  /** Send up to 100 notifications, all of them or none. */
  @Post('batch')
  @ClientScopes('notifications:write')
  @Idempotent()
  @Returns(NotificationBatchDto, { status: 201, errors: ['RESOURCE_NOT_FOUND'] })
  createBatch(@Caller() caller: Principal, @Body() body: NotificationBatchCreateDto): Promise<NotificationBatchDto> {
    return this.notifications.createBatch(caller, body);
  }

  /** List notifications. */
  @Get()
  @ClientScopes('notifications:read')
  @ReturnsPage(NotificationDto)
  list(@Caller() caller: Principal, @Query() query: NotificationListQueryDto): Promise<Page<NotificationDto>> {
    return this.notifications.list(caller, query);
  }

  /** Get what became of notifications, in numbers. */
  @Get('analytics')
  @ClientScopes('notifications:read')
  @Returns(NotificationAnalyticsDto)
  getAnalytics(
    @Caller() caller: Principal,
    @Query() query: NotificationAnalyticsQueryDto,
  ): Promise<NotificationAnalyticsDto> {
    return this.analytics.get(caller, query);
  }

  /** Get the secret that signs webhook notifications. */
  @Get('webhook-secret')
  @ClientScopes('notifications:write')
  @Returns(NotificationSecretDto)
  getWebhookSecret(@Caller() caller: Principal): Promise<NotificationSecretDto> {
    return this.secrets.show(caller);
  }

  /** Get a notification with what became of each recipient. */
  @Get(':notification_id')
  @ClientScopes('notifications:read')
  @Returns(NotificationDetailDto)
  get(@Caller() caller: Principal, @Param('notification_id') id: string): Promise<NotificationDetailDto> {
    return this.notifications.get(caller, id);
  }

  /** Cancel a notification nothing was tried of yet. */
  @Post(':notification_id/cancel')
  @ClientScopes('notifications:write')
  @Returns(NotificationDto, { errors: ['INVALID_STATE'] })
  cancel(@Caller() caller: Principal, @Param('notification_id') id: string): Promise<NotificationDto> {
    return this.notifications.cancel(caller, id);
  }

  /** Try the recipients that failed again. */
  @Post(':notification_id/retry')
  @ClientScopes('notifications:write')
  @Returns(NotificationDto, { errors: ['INVALID_STATE'] })
  retry(@Caller() caller: Principal, @Param('notification_id') id: string): Promise<NotificationDto> {
    return this.notifications.retry(caller, id);
  }
}
