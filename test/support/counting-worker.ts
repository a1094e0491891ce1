/**
 * A process that delivers by counting: each attempt is a POST to `SINK_URL`, and its status says what comes of it. For
 * tests that kill it. Deliveries are of the kind `counted`.
 */
import 'reflect-metadata';
import { Global, Module, type OnModuleInit } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CONFIG, loadConfig } from '#libs/config';
import { Database, DatabaseModule } from '#libs/database';
import {
  DeliveryEngine,
  ENGINE_SETTINGS,
  JobsModule,
  SETTINGS,
  type AttemptOutcome,
  type ClaimedDelivery,
} from '#libs/jobs';
import { createLogger, ObservabilityModule } from '#libs/observability';

const config = loadConfig();
const database = new Database(config.databaseUrl!, { onError: () => undefined });

async function post({ id, attempt }: ClaimedDelivery, signal: AbortSignal): Promise<AttemptOutcome> {
  const body = JSON.stringify({ id, attempt });
  const response = await fetch(process.env['SINK_URL']!, { method: 'POST', body, signal });
  await response.arrayBuffer();
  return { result: response.ok ? 'sent' : 'retry', statusCode: response.status };
}

@Global()
@Module({
  imports: [
    ObservabilityModule.forLogger(createLogger('silent')),
    DatabaseModule.forDatabase(database),
    JobsModule.forConfig(config),
  ],
  providers: [
    { provide: CONFIG, useValue: config },
    // Short leases: what a killed process held is due again soon.
    { provide: SETTINGS, useValue: { ...ENGINE_SETTINGS, leaseMarginMs: 500 } },
  ],
  exports: [CONFIG, SETTINGS],
})
class CountingWorker implements OnModuleInit {
  constructor(private readonly engine: DeliveryEngine) {}

  onModuleInit(): void {
    // More tries than a starved machine can let run out of time.
    const policy = { scheduleSeconds: new Array<number>(20).fill(0), jitter: 0 };
    this.engine.register({ kind: 'counted', policy, laneConcurrency: 16, timeoutMs: 1_500, attempt: post });
  }
}

const app = await NestFactory.createApplicationContext(CountingWorker, { logger: false, abortOnError: false });
process.on('SIGTERM', () => void app.close().then(() => process.exit(0)));
setInterval(() => undefined, 2 ** 30);
process.stdout.write('ready\n');
