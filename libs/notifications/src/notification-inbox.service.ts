import { Injectable, type OnModuleInit } from '@nestjs/common';
import { notFound, type Page } from '#libs/common';
import type { Principal } from '#libs/security';
import { UserLifecycle } from '#libs/users';
import type { InboxListQueryDto, InboxNotificationDto } from './notification-inbox.dto.js';
import { toInboxDto } from './notification-inbox.mapper.js';
import { NotificationInboxRepository } from './notification-inbox.repository.js';

/** A user's own notifications: what came over sockets stays readable here. */
@Injectable()
export class NotificationInboxService implements OnModuleInit {
  constructor(
    private readonly repository: NotificationInboxRepository,
    private readonly lifecycle: UserLifecycle,
  ) {}

  onModuleInit(): void {
    this.lifecycle.onDelete((tx, clientId, userId) => this.repository.erase(tx, clientId, userId));
  }

  /** The caller's inbox; a client key has none. */
  async list(caller: Principal, query: InboxListQueryDto): Promise<Page<InboxNotificationDto>> {
    return this.repository.list(caller.clientId, ownId(caller), query);
  }

  /** Marks one as read; again changes nothing. */
  async read(caller: Principal, id: string): Promise<InboxNotificationDto> {
    const row = await this.repository.markRead(caller.clientId, ownId(caller), id);
    if (!row) throw notFound('Notification');
    return toInboxDto(row);
  }
}

function ownId(caller: Principal): string {
  if (caller.userId === undefined) throw notFound('User');
  return caller.userId;
}
