import { Injectable } from '@nestjs/common';
import { newId } from '#libs/common';
import { patternsOf } from '#libs/contracts';
import type { Tx } from '#libs/database';
import { EventLog } from '#libs/events';
import { Deliveries, type NewDelivery, type Priority, type SettledDelivery } from '#libs/jobs';
import { distinctAddresses, KINDS } from './notification-plan.js';
import type { EmailFallbackDto } from './notification.dto.js';
import { NotificationSettlementRepository, type SettledSums } from './notification-settlement.repository.js';

/** `provider_name` of a socket delivery somebody live has received. */
export const LIVE = 'socket';

/** What follows from recorded attempts, in their transaction: counts, statuses, the mail for who is not online, facts. */
@Injectable()
export class NotificationSettlement {
  constructor(
    private readonly repository: NotificationSettlementRepository,
    private readonly deliveries: Deliveries,
    private readonly events: EventLog,
  ) {}

  /** Settles a batch, of any number of notifications and tenants, with a fixed number of statements. */
  async settle(tx: Tx, settled: SettledDelivery[]): Promise<void> {
    const sums = sumsOf(settled);
    const changed = await this.repository.apply(tx, sums);
    const missed = changed.filter((row) => row.fallback_due);
    if (missed.length > 0) await this.sendFallbacks(tx, missed);
    const finished = changed.filter((row) => row.finished);
    if (finished.length === 0) return;
    const told = await this.repository.tell(
      tx,
      finished.map((row) => ({
        clientId: row.client_id,
        id: row.id,
        eventId: newId(),
        event: row.status === 'sent' ? 'notification.sent' : 'notification.failed',
        patterns: patternsOf(row.status === 'sent' ? 'notification.sent' : 'notification.failed'),
      })),
    );
    if (told > 0) tx.afterCommit(() => this.events.committed());
  }

  private async sendFallbacks(
    tx: Tx,
    missed: { client_id: string; id: string; priority: Priority; email_fallback: EmailFallbackDto | null }[],
  ): Promise<void> {
    const added: NewDelivery[] = missed.flatMap((row) =>
      distinctAddresses(row.email_fallback!.to_email!).map((target) => ({
        id: newId(),
        clientId: row.client_id,
        kind: KINDS.email,
        sourceId: row.id,
        lane: KINDS.email,
        target,
        priority: row.priority,
      })),
    );
    await this.deliveries.add(tx, added);
    await this.repository.addRecipients(
      tx,
      missed.map((row) => ({
        clientId: row.client_id,
        id: row.id,
        count: added.filter((delivery) => delivery.sourceId === row.id).length,
      })),
    );
  }
}

/** One row for each notification, in key order, in which all lock them. */
function sumsOf(settled: SettledDelivery[]): SettledSums[] {
  const sums = new Map<string, SettledSums>();
  for (const { delivery, outcome, status, responseTimeMs, attemptedAt } of settled) {
    const key = `${delivery.clientId} ${delivery.sourceId}`;
    let sum = sums.get(key);
    if (!sum) {
      sum = {
        clientId: delivery.clientId,
        id: delivery.sourceId,
        sent: 0,
        failed: 0,
        live: 0,
        sentAtMs: 0,
        lastSentAt: null,
        errorCode: null,
        error: null,
      };
      sums.set(key, sum);
    }
    if (status === 'sent') {
      const at = attemptedAt.getTime() + responseTimeMs;
      sum.sent++;
      sum.sentAtMs += at;
      if (sum.lastSentAt === null || at > sum.lastSentAt.getTime()) sum.lastSentAt = new Date(at);
      if (outcome.providerName === LIVE) sum.live++;
    } else {
      if (status === 'failed') sum.failed++;
      sum.errorCode = outcome.errorCode?.slice(0, 64) ?? null;
      sum.error = outcome.error?.slice(0, 500) ?? null;
    }
  }
  return [...sums.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, sum]) => sum);
}
