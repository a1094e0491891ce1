import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { AppModule, operationsOf, runProcess } from '#libs/composition';
import { ConfigError, type Config } from '#libs/config';
import { NestLogger } from '#libs/observability';
import { serveOperations } from './operations-server.js';

function check({ databaseUrl, jobs }: Config): void {
  const faults: string[] = [];
  if (!databaseUrl) faults.push('DATABASE_URL is required: a worker shares the database of the API');
  if (!jobs) faults.push('JOBS must not be off: a worker does nothing else');
  if (faults.length > 0) throw new ConfigError(faults);
}

runProcess(async (config, database, logger) => {
  const app = await NestFactory.createApplicationContext(AppModule.compose(config, database, logger), {
    logger: new NestLogger(logger),
    abortOnError: false,
  });
  // Its connections may all be down for a while, and nothing else keeps a process without a server alive.
  setInterval(() => undefined, 2 ** 30);
  const operations = operationsOf(app);
  const open = async (): Promise<void> => {
    if (config.workerPort !== undefined) await serveOperations(operations, config.workerPort, config.host);
    process.stdout.write('ChatAPI worker is running.\n');
  };
  return { app, open };
}, check);
