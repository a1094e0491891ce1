import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { CONFIG, type Config } from '#libs/config';
import type { Tx } from '#libs/database';
import {
  DeliveryEngine,
  type AttemptOutcome,
  type ClaimedDelivery,
  type DeliveryHandler,
  type RetryPolicy,
  type SettledDelivery,
} from '#libs/jobs';
import { Mailer, MAIL_TIMEOUT_MS, type OutgoingMail } from '../email/mailer.js';
import { distinctAddresses, KINDS } from '../notification-plan.js';
import { NotificationSettlement } from '../notification-settlement.js';
import {
  NotificationSourceRepository,
  NotificationSources,
  type NotificationSource,
} from '../notification-source.repository.js';
import { gone, retryPolicy } from './notification-outcomes.js';

/** Sends the mails of e-mail notifications, and of socket notifications whose readers were not online. */
@Injectable()
export class SendEmailHandler implements DeliveryHandler, OnModuleInit {
  readonly kind = KINDS.email;
  readonly policy: RetryPolicy;
  readonly laneConcurrency = 20;
  /** A little more than the mailer's own, so that the mailer says what was wrong and no mail under way is cut off. */
  readonly timeoutMs = MAIL_TIMEOUT_MS + 2_000;

  constructor(
    private readonly engine: DeliveryEngine,
    private readonly sources: NotificationSources,
    private readonly repository: NotificationSourceRepository,
    private readonly settlement: NotificationSettlement,
    private readonly mailer: Mailer,
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

  async attempt(delivery: ClaimedDelivery, signal: AbortSignal): Promise<AttemptOutcome> {
    const source = await this.sources.of(delivery);
    if (!source) return gone();
    return this.mailer.send(mailOf(delivery, source, await this.wereCopiesTaken(delivery, source)), signal);
  }

  settled(tx: Tx, settled: SettledDelivery[]): Promise<void> {
    return this.settlement.settle(tx, settled);
  }

  private async wereCopiesTaken({ clientId, id, attempt }: ClaimedDelivery, source: NotificationSource) {
    const hasCopies = (source.cc ?? []).length + (source.bcc ?? []).length > 0;
    return attempt > 1 && hasCopies && this.repository.wereCopiesTaken(clientId, id);
  }
}

function mailOf(delivery: ClaimedDelivery, source: NotificationSource, copiesTaken: boolean): OutgoingMail {
  const fallback = source.type === 'websocket' ? source.email_fallback : null;
  return {
    clientId: delivery.clientId,
    deliveryId: delivery.id,
    attempt: delivery.attempt,
    recipientCount: fallback ? distinctAddresses(fallback.to_email ?? []).length : source.recipients_total,
    to: delivery.target,
    cc: source.cc ?? [],
    bcc: source.bcc ?? [],
    copiesTaken,
    replyTo: source.reply_to,
    fromEmail: source.from_email,
    fromName: source.from_name,
    subject: fallback?.subject ?? source.subject ?? '',
    content: fallback?.content ?? source.content,
  };
}
