import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { CONFIG, type Config } from '#libs/config';
import type { Frame } from '#libs/contracts';
import type { Tx } from '#libs/database';
import {
  DeliveryEngine,
  type AttemptOutcome,
  type ClaimedDelivery,
  type DeliveryHandler,
  type RetryPolicy,
  type SettledDelivery,
} from '#libs/jobs';
import { Realtime } from '#libs/realtime';
import { toInboxContent } from '../notification-inbox.mapper.js';
import { KINDS } from '../notification-plan.js';
import { LIVE, NotificationSettlement } from '../notification-settlement.js';
import {
  NotificationSourceRepository,
  NotificationSources,
  type NotificationSource,
} from '../notification-source.repository.js';
import { gone, retryPolicy } from './notification-outcomes.js';

/** Puts socket notifications into inboxes, commits, and then tells whoever is live. */
@Injectable()
export class PushToSocketsHandler implements DeliveryHandler, OnModuleInit {
  readonly kind = KINDS.websocket;
  readonly policy: RetryPolicy;
  readonly laneConcurrency = 20;
  readonly timeoutMs = 30_000;

  constructor(
    private readonly engine: DeliveryEngine,
    private readonly sources: NotificationSources,
    private readonly repository: NotificationSourceRepository,
    private readonly settlement: NotificationSettlement,
    private readonly realtime: Realtime,
    @Inject(CONFIG) config: Config,
  ) {
    this.policy = retryPolicy(config);
  }

  onModuleInit(): void {
    this.engine.register(this);
  }

  leased(deliveries: readonly ClaimedDelivery[]): void {
    this.sources.prepare(deliveries);
  }

  async attempt(delivery: ClaimedDelivery): Promise<AttemptOutcome> {
    const source = await this.sources.of(delivery);
    if (!source) return gone();
    return delivery.target === source.room_id ? this.toRoom(delivery, source) : this.toUser(delivery, source);
  }

  settled(tx: Tx, settled: SettledDelivery[]): Promise<void> {
    return this.settlement.settle(tx, settled);
  }

  private async toRoom({ clientId, target }: ClaimedDelivery, source: NotificationSource): Promise<AttemptOutcome> {
    await this.repository.fillRoomInboxes(clientId, source.id, target);
    return delivered(await this.realtime.toRoom(clientId, target, frameOf(source)));
  }

  private async toUser({ clientId, target }: ClaimedDelivery, source: NotificationSource): Promise<AttemptOutcome> {
    const { exists, inRoom } = await this.repository.fillInbox(clientId, source.id, target, source.room_id);
    if (!exists) return { result: 'failed', errorCode: 'USER_GONE', error: 'The user no longer exists' };
    // A member of the room it also goes to hears of it there, once, on the sockets that hear the room.
    const heardIn = inRoom ? source.room_id! : undefined;
    return delivered(await this.realtime.toUsers(clientId, [target], frameOf(source), heardIn));
  }
}

function delivered(live: string[]): AttemptOutcome {
  return { result: 'sent', providerName: live.length > 0 ? LIVE : 'inbox' };
}

function frameOf(source: NotificationSource): Frame {
  return {
    type: 'notification',
    ...(source.room_id === null ? {} : { room_id: source.room_id }),
    data: toInboxContent(source),
    timestamp: source.created_at.toISOString(),
  };
}
