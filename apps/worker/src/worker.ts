import { NestFactory } from '@nestjs/core';
import { AppModule, operationsOf } from '#libs/composition';
import { NestLogger } from '#libs/observability';
import type { Prepare } from '#libs/process';
import { serveOperations } from './operations-server.js';

/** The same modules without the API; a server for health and metrics where a port is set for it. */
export const prepareWorker: Prepare = async (config, database, logger) => {
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
};
