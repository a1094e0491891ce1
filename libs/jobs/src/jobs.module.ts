import { Global, Module } from '@nestjs/common';
import { Scheduler } from './scheduler.js';

/** Provides the scheduler everywhere. */
@Global()
@Module({ providers: [Scheduler], exports: [Scheduler] })
export class JobsModule {}
