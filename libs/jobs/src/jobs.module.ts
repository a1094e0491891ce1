import { Global, Module, type DynamicModule } from '@nestjs/common';
import type { Config } from '#libs/config';
import { Database } from '#libs/database';
import { Deliveries } from './deliveries.js';
import { DeliveriesRepository } from './deliveries.repository.js';
import { DeliveryEngine } from './delivery-engine.js';
import { DeliveryLog } from './delivery-log.js';
import { InProcessJobEngine } from './in-process-job-engine.js';
import { JOB_ENGINE } from './job-engine.js';
import { Scheduler } from './scheduler.js';

/** Provides the scheduler, the deliveries and their engine everywhere. */
@Global()
@Module({})
export class JobsModule {
  static forConfig(_config: Config): DynamicModule {
    return {
      module: JobsModule,
      providers: [
        Scheduler,
        Deliveries,
        DeliveriesRepository,
        DeliveryLog,
        DeliveryEngine,
        {
          provide: JOB_ENGINE,
          inject: [Database],
          useFactory: (database: Database) => new InProcessJobEngine(database),
        },
      ],
      exports: [Scheduler, Deliveries, DeliveryLog, DeliveryEngine],
    };
  }
}
