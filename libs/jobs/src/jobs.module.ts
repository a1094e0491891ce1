import { Global, Module } from '@nestjs/common';
import { Deliveries } from './deliveries.js';
import { Scheduler } from './scheduler.js';

/** Provides the scheduler and the deliveries everywhere. */
@Global()
@Module({ providers: [Scheduler, Deliveries], exports: [Scheduler, Deliveries] })
export class JobsModule {}
