import { Injectable } from '@nestjs/common';
import { invalid, notFound, type FieldError, type Page } from '#libs/common';
import type { Tx } from '#libs/database';
import { EgressError, EgressGuard } from '#libs/egress';
import { Deliveries, DeliveryLog } from '#libs/jobs';
import { UnitOfWork, type Principal } from '#libs/security';
import type { NotificationDetailDto } from './notification-detail.dto.js';
import { faultsOf, planNotification, type NotificationPlan } from './notification-plan.js';
import type { NotificationListQueryDto } from './notification-query.dto.js';
import { NotificationWriter } from './notification-writer.js';
import type {
  NotificationBatchCreateDto,
  NotificationBatchDto,
  NotificationCreateDto,
  NotificationDto,
} from './notification.dto.js';
import { notFailed, notPending } from './notification.errors.js';
import { toCreatedDto, toNotificationDetailDto, toNotificationDto } from './notification.mapper.js';
import { NotificationsRepository } from './notifications.repository.js';

/** Notifications: asked for, looked at, called off, tried again. What brings them to people are the delivery handlers. */
@Injectable()
export class NotificationsService {
  constructor(
    private readonly repository: NotificationsRepository,
    private readonly writer: NotificationWriter,
    private readonly uow: UnitOfWork,
    private readonly guard: EgressGuard,
    private readonly deliveries: Deliveries,
    private readonly log: DeliveryLog,
  ) {}

  /** Returns as soon as the notification is durable with its deliveries; they are carried out after. */
  async create(caller: Principal, input: NotificationCreateDto): Promise<NotificationDto> {
    const faults = await this.faults(input);
    if (faults.length > 0) throw invalid(...faults);
    const plan = planNotification(caller.clientId, input);
    if (caller.idempotency || plan.row.type === 'websocket') {
      return this.uow.run(caller, async (tx) => {
        await this.insert(tx, caller, [plan]);
        return toCreatedDto(plan.row);
      });
    }
    await this.writer.write(plan);
    return toCreatedDto(plan.row);
  }

  /** All of them in one transaction, or none. */
  async createBatch(caller: Principal, input: NotificationBatchCreateDto): Promise<NotificationBatchDto> {
    const faults = await Promise.all(
      input.notifications.map(async (one, index) => {
        const prefix = `notifications[${index}].`;
        return (await this.faults(one)).map(({ field, message }) => ({
          field: prefix + field,
          message: prefix + message,
        }));
      }),
    );
    if (faults.some((found) => found.length > 0)) throw invalid(...faults.flat());
    const plans = input.notifications.map((one) => planNotification(caller.clientId, one));
    return this.uow.run(caller, async (tx) => {
      await this.insert(tx, caller, plans);
      return { notifications: plans.map((plan) => toCreatedDto(plan.row)) };
    });
  }

  /** The client's notifications. */
  list(caller: Principal, query: NotificationListQueryDto): Promise<Page<NotificationDto>> {
    return this.repository.list(caller.clientId, query);
  }

  /** One notification with what became of each recipient. */
  async get(caller: Principal, id: string): Promise<NotificationDetailDto> {
    const row = await this.repository.find(undefined, caller.clientId, id);
    if (!row) throw notFound('Notification');
    return toNotificationDetailDto(row, await this.log.ofSource(caller.clientId, id));
  }

  /** Calls off what nothing was tried of yet. The rows' locks decide between this and an engine that is claiming. */
  cancel(caller: Principal, id: string): Promise<NotificationDto> {
    return this.uow.run(caller, async (tx) => {
      const before = await this.repository.lock(tx, caller.clientId, id);
      if (!before) throw notFound('Notification');
      if (before.status !== 'pending') throw notPending();
      const cancelled = await this.deliveries.cancel(tx, { clientId: caller.clientId, sourceId: id });
      if (cancelled.length < before.recipients_total) throw notPending();
      await this.repository.markCancelled(tx, caller.clientId, id);
      return toNotificationDto((await this.repository.find(tx, caller.clientId, id))!);
    });
  }

  /** Tries the recipients that failed again, by the whole schedule; attempts are numbered on. */
  retry(caller: Principal, id: string): Promise<NotificationDto> {
    return this.uow.run(caller, async (tx) => {
      const before = await this.repository.lock(tx, caller.clientId, id);
      if (!before) throw notFound('Notification');
      if (before.status !== 'failed' && before.status !== 'partial') throw notFailed();
      await this.deliveries.redeliver(tx, { clientId: caller.clientId, sourceId: id });
      await this.repository.markReopened(tx, caller.clientId, id);
      return toNotificationDto((await this.repository.find(tx, caller.clientId, id))!);
    });
  }

  private async insert(tx: Tx, caller: Principal, plans: NotificationPlan[]): Promise<void> {
    const rooms = [...new Set(plans.flatMap(({ row }) => row.room_id ?? []))];
    const users = [...new Set(plans.flatMap(({ row }) => row.user_ids ?? []))];
    if (rooms.length > 0 && (await this.repository.livingRooms(tx, caller.clientId, rooms)).size < rooms.length) {
      throw notFound('Room');
    }
    if (users.length > 0 && (await this.repository.livingUsers(tx, caller.clientId, users)).size < users.length) {
      throw notFound('User');
    }
    await this.writer.insert(tx, plans);
  }

  private async faults(input: NotificationCreateDto): Promise<FieldError[]> {
    const faults = faultsOf(input, new Date());
    if (input.type === 'webhook' && input.webhook_url !== undefined) {
      const fault = await this.urlFault(input.webhook_url);
      if (fault) faults.push({ field: 'webhook_url', message: `webhook_url ${fault}` });
    }
    return faults;
  }

  /** Refuses what would never be asked. A name that does not resolve just now may at the time of delivery. */
  private async urlFault(url: string): Promise<string | undefined> {
    try {
      await this.guard.check(url);
      return undefined;
    } catch (error) {
      if (!(error instanceof EgressError)) throw error;
      const final = error.fault === 'EGRESS_URL_REFUSED' || error.fault === 'EGRESS_ADDRESS_REFUSED';
      return final ? `is refused: ${error.message}` : undefined;
    }
  }
}
