import { Global, Module } from '@nestjs/common';
import { Hub } from './hub.js';
import { Realtime } from './realtime.js';

/** Provides the hub everywhere. */
@Global()
@Module({ providers: [Hub, Realtime], exports: [Hub, Realtime] })
export class RealtimeModule {}
