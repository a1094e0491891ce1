import { Global, Module, type DynamicModule } from '@nestjs/common';
import type { Logger } from 'pino';
import { Health } from './health.js';
import { LOGGER } from './logger.js';
import { Metrics } from './metrics.js';

/** Provides logger, metrics and health everywhere. */
@Global()
@Module({})
export class ObservabilityModule {
  static forLogger(logger: Logger): DynamicModule {
    return {
      module: ObservabilityModule,
      providers: [{ provide: LOGGER, useValue: logger }, Metrics, Health],
      exports: [LOGGER, Metrics, Health],
    };
  }
}
