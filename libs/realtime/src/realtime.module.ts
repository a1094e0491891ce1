import { Global, Module } from '@nestjs/common';
import { Hub } from './hub.js';

/** Provides the hub everywhere. */
@Global()
@Module({ providers: [Hub], exports: [Hub] })
export class RealtimeModule {}
