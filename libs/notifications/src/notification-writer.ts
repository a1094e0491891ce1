import { Injectable } from '@nestjs/common';
import { unavailable } from '#libs/common';
import { isStatementFault, type Tx } from '#libs/database';
import { Deliveries } from '#libs/jobs';
import type { NotificationPlan } from './notification-plan.js';
import { NotificationsRepository } from './notifications.repository.js';

const MAX_BATCH = 128;
const MAX_BATCH_DELIVERIES = 2_000;
const MAX_WAITING = 5_000;

interface Waiting {
  plan: NotificationPlan;
  resolve: () => void;
  reject: (error: unknown) => void;
}

/**
 * Writes notifications with their deliveries. Those that arrive while a commit is running share the next one: as in the
 * message writer there is no timer, so a lone one pays what its own commit would, and many share the wait for the disk.
 */
@Injectable()
export class NotificationWriter {
  private waiting: Waiting[] = [];
  private running = false;

  constructor(
    private readonly repository: NotificationsRepository,
    private readonly deliveries: Deliveries,
  ) {}

  /** Notifications with their deliveries, in a transaction of the caller's. */
  async insert(tx: Tx, plans: NotificationPlan[]): Promise<void> {
    await this.repository.insert(
      tx,
      plans.map((plan) => plan.row),
    );
    await this.deliveries.add(
      tx,
      plans.flatMap((plan) => plan.deliveries),
    );
  }

  /** Returns once the notification is durable. */
  write(plan: NotificationPlan): Promise<void> {
    if (this.waiting.length >= MAX_WAITING) throw unavailable('Too many notifications are waiting to be written');
    const written = new Promise<void>((resolve, reject) => this.waiting.push({ plan, resolve, reject }));
    if (!this.running) void this.flush();
    return written;
  }

  private async flush(): Promise<void> {
    this.running = true;
    while (this.waiting.length > 0) await this.writeTogether(this.take());
    this.running = false;
  }

  private take(): Waiting[] {
    let count = 0;
    let deliveries = 0;
    while (count < this.waiting.length && count < MAX_BATCH && (count === 0 || deliveries < MAX_BATCH_DELIVERIES)) {
      deliveries += this.waiting[count++]!.plan.deliveries.length;
    }
    return this.waiting.splice(0, count);
  }

  private async writeTogether(batch: Waiting[]): Promise<void> {
    try {
      await this.repository.insertWithDeliveries(
        batch.map(({ plan }) => plan.row),
        batch.flatMap(({ plan }) => plan.deliveries),
      );
      this.deliveries.committed();
      for (const { resolve } of batch) resolve();
    } catch (error) {
      // What PostgreSQL refused had no effect: one by one, so that a bad one fails alone.
      if (batch.length > 1 && isStatementFault(error)) for (const one of batch) await this.writeTogether([one]);
      else for (const { reject } of batch) reject(error);
    }
  }
}
