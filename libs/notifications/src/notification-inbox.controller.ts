import { Controller, Get, Param, Post, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Returns, ReturnsPage, type Page } from '#libs/common';
import { Caller, Scopes, type Principal } from '#libs/security';
import { InboxListQueryDto, InboxNotificationDto } from './notification-inbox.dto.js';
import { NotificationInboxService } from './notification-inbox.service.js';

/** What a user was notified of. */
@ApiTags('Notifications')
@Controller('users/me/notifications')
export class NotificationInboxController {
  constructor(private readonly inbox: NotificationInboxService) {}

  /** List the notifications of the user the key belongs to. */
  @Get()
  @Scopes('users:read')
  @ReturnsPage(InboxNotificationDto, { errors: ['RESOURCE_NOT_FOUND'] })
  list(@Caller() caller: Principal, @Query() query: InboxListQueryDto): Promise<Page<InboxNotificationDto>> {
    return this.inbox.list(caller, query);
  }

  /** Mark a notification as read. */
  @Post(':notification_id/read')
  @Scopes('users:write')
  @Returns(InboxNotificationDto)
  read(@Caller() caller: Principal, @Param('notification_id') id: string): Promise<InboxNotificationDto> {
    return this.inbox.read(caller, id);
  }
}
