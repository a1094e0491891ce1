import { Injectable } from '@nestjs/common';
import { newId, notFound, type Page } from '#libs/common';
import type { Tx } from '#libs/database';
import { EgressGuard, newSigningSecret } from '#libs/egress';
import { Deliveries } from '#libs/jobs';
import { SecretBox, UnitOfWork, type Principal } from '#libs/security';
import { EndpointStates } from './handlers/endpoint-states.js';
import { WEBHOOK_EVENT } from './webhook-deliveries.repository.js';
import type {
  NewWebhookDto,
  WebhookCreateDto,
  WebhookDto,
  WebhookListQueryDto,
  WebhookSigningSecretDto,
  WebhookSecretRotateDto,
  WebhookUpdateDto,
} from './webhook.dto.js';
import { targetFault } from './webhook.errors.js';
import { toWebhookDto } from './webhook.mapper.js';
import { WebhooksRepository } from './webhooks.repository.js';

/** Endpoints and their secrets. */
@Injectable()
export class WebhooksService {
  constructor(
    private readonly repository: WebhooksRepository,
    private readonly deliveries: Deliveries,
    private readonly states: EndpointStates,
    private readonly uow: UnitOfWork,
    private readonly guard: EgressGuard,
    private readonly box: SecretBox,
  ) {}

  /** Creates an endpoint with its secret. */
  async create(caller: Principal, input: WebhookCreateDto): Promise<NewWebhookDto> {
    await this.requireTarget(input.url);
    const secret = newSigningSecret();
    const roomIds = distinct(input.room_ids ?? []);
    return this.uow.run(caller, async (tx) => {
      await this.requireRooms(tx, caller.clientId, roomIds);
      const row = await this.repository.insert(tx, caller.clientId, {
        id: newId(),
        url: input.url,
        description: input.description ?? null,
        events: [...new Set(input.events)],
        roomIds,
        ordered: input.ordered ?? false,
        isActive: input.is_active ?? true,
        secret: this.box.seal(secret),
        customHeaders: input.custom_headers ?? {},
        meta: input.meta ?? {},
      });
      return { ...toWebhookDto(row), secret };
    });
  }

  /** The endpoints of the client. */
  list(caller: Principal, query: WebhookListQueryDto): Promise<Page<WebhookDto>> {
    return this.repository.list(caller.clientId, query);
  }

  /** One endpoint. */
  async get(caller: Principal, webhookId: string): Promise<WebhookDto> {
    const row = await this.repository.find(undefined, caller.clientId, webhookId);
    if (!row) throw notFound('Webhook');
    return toWebhookDto(row);
  }

  /** Changes an endpoint; switched off, nothing that waits for it is sent. */
  async update(caller: Principal, webhookId: string, input: WebhookUpdateDto): Promise<WebhookDto> {
    if (input.url !== undefined) {
      await this.get(caller, webhookId);
      await this.requireTarget(input.url);
    }
    const change = { ...input };
    if (input.events) change.events = [...new Set(input.events)];
    if (input.room_ids) change.room_ids = distinct(input.room_ids);
    return this.uow.run(caller, async (tx) => {
      const before = await this.repository.find(tx, caller.clientId, webhookId);
      const row = await this.repository.update(tx, caller.clientId, webhookId, change);
      if (!before || !row) throw notFound('Webhook');
      tx.afterCommit(() => this.states.forget(caller.clientId, webhookId));
      // Rooms it heard of before may have been erased since.
      const added = (change.room_ids ?? []).filter((id) => !before.room_ids.includes(id));
      await this.requireRooms(tx, caller.clientId, added);
      if (!row.is_active) await this.cancelWaiting(tx, caller.clientId, webhookId);
      return toWebhookDto(row);
    });
  }

  /** Deletes an endpoint; nothing that waits for it is sent. */
  async remove(caller: Principal, webhookId: string): Promise<void> {
    await this.uow.run(caller, async (tx) => {
      if (!(await this.repository.remove(tx, caller.clientId, webhookId))) throw notFound('Webhook');
      tx.afterCommit(() => this.states.forget(caller.clientId, webhookId));
      await this.cancelWaiting(tx, caller.clientId, webhookId);
      return {};
    });
  }

  /** Shows the secret again. */
  async secret(caller: Principal, webhookId: string): Promise<WebhookSigningSecretDto> {
    const row = await this.repository.findSecret(caller.clientId, webhookId);
    if (!row) throw notFound('Webhook');
    return {
      secret: this.box.open(row.secret),
      previous_secret_until: row.previous_secret_until?.toISOString() ?? null,
    };
  }

  /** Replaces the secret; the old one goes on signing for the grace. */
  rotateSecret(caller: Principal, webhookId: string, input: WebhookSecretRotateDto): Promise<WebhookSigningSecretDto> {
    const secret = newSigningSecret();
    return this.uow.run(caller, async (tx) => {
      const sealed = this.box.seal(secret);
      const row = await this.repository.rotateSecret(tx, caller.clientId, webhookId, sealed, input.grace_seconds!);
      if (!row) throw notFound('Webhook');
      tx.afterCommit(() => this.states.forget(caller.clientId, webhookId));
      return { secret, previous_secret_until: row.previous_secret_until?.toISOString() ?? null };
    });
  }

  /** The target is checked now, so that the mistake is seen now; every attempt checks it again. */
  private async requireTarget(url: string): Promise<void> {
    try {
      await this.guard.check(url);
    } catch (error) {
      throw targetFault(error);
    }
  }

  /** Attempts that are running see for themselves that the endpoint is gone before the next. */
  private async cancelWaiting(tx: Tx, clientId: string, webhookId: string): Promise<void> {
    await this.deliveries.cancel(tx, { clientId, kind: WEBHOOK_EVENT, lane: webhookId });
  }

  private async requireRooms(tx: Tx, clientId: string, roomIds: string[]): Promise<void> {
    if (roomIds.length === 0) return;
    if ((await this.repository.countRooms(tx, clientId, roomIds)) < roomIds.length) throw notFound('Room');
  }
}

function distinct(ids: string[]): string[] {
  return [...new Set(ids.map((id) => id.toLowerCase()))];
}
