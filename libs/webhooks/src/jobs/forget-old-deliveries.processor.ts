import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Scheduler } from '#libs/jobs';
import { EventRelayRepository } from '../event-relay.repository.js';

/** Forgets facts and finished deliveries after 30 days. Looks every hour. */
@Injectable()
export class ForgetOldDeliveriesProcessor implements OnModuleInit {
  constructor(
    private readonly scheduler: Scheduler,
    private readonly repository: EventRelayRepository,
  ) {}

  onModuleInit(): void {
    this.scheduler.register({ name: 'forget-old-deliveries', everySeconds: 3_600, run: () => this.run() });
  }

  /** Works in small commits. */
  async run(): Promise<void> {
    while ((await this.repository.forget()) > 0);
  }
}
