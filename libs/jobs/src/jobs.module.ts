import { Global, Module, type DynamicModule, type FactoryProvider } from '@nestjs/common';
import type { Config } from '#libs/config';
import { Database } from '#libs/database';
import { bullJobs } from './bull/bull-jobs.js';
import { Deliveries } from './deliveries.js';
import { DeliveriesRepository } from './deliveries.repository.js';
import { DeliveryEngine } from './delivery-engine.js';
import { DeliveryLog } from './delivery-log.js';
import { InProcessJobEngine } from './in-process-job-engine.js';
import { JOB_ENGINE, type JobEngine } from './job-engine.js';
import { Scheduler } from './scheduler.js';

const IN_PROCESS: FactoryProvider<JobEngine> = {
  provide: JOB_ENGINE,
  inject: [Database],
  useFactory: (database: Database) => new InProcessJobEngine(database),
};

/** Provides the scheduler, the deliveries and their engine everywhere; with a Redis, processes wake each other by Bull. */
@Global()
@Module({})
export class JobsModule {
  static forConfig({ redisUrl }: Config): DynamicModule {
    const bull = redisUrl ? bullJobs(redisUrl) : undefined;
    return {
      module: JobsModule,
      imports: bull ? [bull.queue] : [],
      providers: [Scheduler, Deliveries, DeliveriesRepository, DeliveryLog, DeliveryEngine, bull?.engine ?? IN_PROCESS],
      exports: [Scheduler, Deliveries, DeliveryLog, DeliveryEngine],
    };
  }
}
