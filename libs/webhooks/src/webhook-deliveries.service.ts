import { Injectable } from '@nestjs/common';
import { newId, notFound, type Page } from '#libs/common';
import { TEST_EVENT } from '#libs/contracts';
import type { Tx } from '#libs/database';
import { Deliveries, type DeliveryStatus } from '#libs/jobs';
import { UnitOfWork, type Principal } from '#libs/security';
import { EventTypes } from './event-types.js';
import { WEBHOOK_EVENT, WebhookDeliveriesRepository } from './webhook-deliveries.repository.js';
import type {
  WebhookDeliveryDetailDto,
  WebhookDeliveryDto,
  WebhookDeliveryListQueryDto,
  WebhookRecoverDto,
  WebhookRecoveredDto,
} from './webhook-delivery.dto.js';
import type { WebhookTestDto } from './webhook.dto.js';
import { deliveryUnfinished, webhookInactive } from './webhook.errors.js';
import { toAttemptDto, toDeliveryDto, type WebhookRow } from './webhook.mapper.js';
import { WebhooksRepository } from './webhooks.repository.js';

const ENDED: DeliveryStatus[] = ['sent', 'failed', 'cancelled'];
const NOT_SENT: DeliveryStatus[] = ['failed', 'cancelled'];

/** What was sent to endpoints, and sending it again. */
@Injectable()
export class WebhookDeliveriesService {
  constructor(
    private readonly webhooks: WebhooksRepository,
    private readonly repository: WebhookDeliveriesRepository,
    private readonly deliveries: Deliveries,
    private readonly eventTypes: EventTypes,
    private readonly uow: UnitOfWork,
  ) {}

  /** Sends an event nothing lies behind, to this endpoint alone. */
  test(caller: Principal, webhookId: string, input: WebhookTestDto): Promise<WebhookDeliveryDto> {
    const { clientId } = caller;
    const event = input.event!;
    return this.uow.run(caller, async (tx) => {
      const webhook = await this.requireActive(tx, clientId, webhookId);
      const [eventId, id] = [newId(), newId()];
      const data =
        event === TEST_EVENT
          ? { webhook_id: webhookId, message: 'This is a test delivery' }
          : this.eventTypes.exampleOf(event);
      await this.repository.insertTestEvent(tx, clientId, eventId, event, data);
      await this.deliveries.add(tx, [
        {
          id,
          clientId,
          kind: WEBHOOK_EVENT,
          sourceId: eventId,
          lane: webhookId,
          target: webhook.url,
          subject: event,
          priority: 'normal',
        },
      ]);
      return this.read(tx, clientId, webhookId, id);
    });
  }

  /** The deliveries of an endpoint. */
  async list(
    caller: Principal,
    webhookId: string,
    query: WebhookDeliveryListQueryDto,
  ): Promise<Page<WebhookDeliveryDto>> {
    await this.require(undefined, caller.clientId, webhookId);
    return this.repository.list(caller.clientId, webhookId, query);
  }

  /** One delivery with its attempts. */
  async get(caller: Principal, webhookId: string, deliveryId: string): Promise<WebhookDeliveryDetailDto> {
    await this.require(undefined, caller.clientId, webhookId);
    const delivery = await this.read(undefined, caller.clientId, webhookId, deliveryId);
    const attempts = await this.repository.attempts(caller.clientId, deliveryId);
    return { ...delivery, attempts: attempts.map(toAttemptDto) };
  }

  /** Makes an ended delivery due again, with the same id for the receiver and its schedule from the start. */
  redeliver(caller: Principal, webhookId: string, deliveryId: string): Promise<WebhookDeliveryDto> {
    const { clientId } = caller;
    return this.uow.run(caller, async (tx) => {
      await this.requireActive(tx, clientId, webhookId);
      await this.read(tx, clientId, webhookId, deliveryId);
      const selection = { clientId, kind: WEBHOOK_EVENT, lane: webhookId, ids: [deliveryId] };
      const again = await this.deliveries.redeliver(tx, selection, ENDED);
      if (again.length === 0) throw deliveryUnfinished();
      return this.read(tx, clientId, webhookId, deliveryId);
    });
  }

  /** Makes everything due again that did not arrive since an instant. */
  recover(caller: Principal, webhookId: string, input: WebhookRecoverDto): Promise<WebhookRecoveredDto> {
    const { clientId } = caller;
    return this.uow.run(caller, async (tx) => {
      await this.requireActive(tx, clientId, webhookId);
      const selection = { clientId, kind: WEBHOOK_EVENT, lane: webhookId, finishedSince: new Date(input.since) };
      return { recovered: (await this.deliveries.redeliver(tx, selection, NOT_SENT)).length };
    });
  }

  private async require(tx: Tx | undefined, clientId: string, webhookId: string): Promise<WebhookRow> {
    const webhook = await this.webhooks.find(tx, clientId, webhookId);
    if (!webhook) throw notFound('Webhook');
    return webhook;
  }

  private async requireActive(tx: Tx, clientId: string, webhookId: string): Promise<WebhookRow> {
    const webhook = await this.require(tx, clientId, webhookId);
    if (!webhook.is_active) throw webhookInactive();
    return webhook;
  }

  private async read(
    tx: Tx | undefined,
    clientId: string,
    webhookId: string,
    deliveryId: string,
  ): Promise<WebhookDeliveryDto> {
    const row = await this.repository.find(tx, clientId, webhookId, deliveryId);
    if (!row) throw notFound('Delivery');
    return toDeliveryDto(row);
  }
}
