import { Global, Module } from '@nestjs/common';
import { EventLog } from './event-log.js';

/** Provides the log of facts everywhere. */
@Global()
@Module({ providers: [EventLog], exports: [EventLog] })
export class EventsModule {}
