import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Database } from '#libs/database';
import { Scheduler } from '#libs/jobs';
import { IDEMPOTENCY_HOURS } from '#libs/security';

/** Forgets what may be forgotten: idempotency records past their time, keys that ended a month ago. */
@Injectable()
export class HousekeepingProcessor implements OnModuleInit {
  constructor(
    private readonly scheduler: Scheduler,
    private readonly database: Database,
  ) {}

  onModuleInit(): void {
    this.scheduler.register({ name: 'housekeeping', everySeconds: 600, run: () => this.run() });
  }

  /** Every tenant's rows: time alone decides. */
  async run(): Promise<void> {
    await this.database.query(
      `DELETE FROM idempotency_records WHERE created_at < now() - interval '${IDEMPOTENCY_HOURS} hours'`,
    );
    await this.database.query(`DELETE FROM api_keys WHERE least(revoked_at, expires_at) < now() - interval '30 days'`);
  }
}
