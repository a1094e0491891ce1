import { NestFactory } from '@nestjs/core';
import { AppModule } from '#libs/composition';
import { NestLogger } from '#libs/observability';
import type { Prepare } from '#libs/process';

/** The same modules without a server. */
export const prepareWorker: Prepare = async (config, database, logger) => {
  const app = await NestFactory.createApplicationContext(AppModule.compose(config, database, logger), {
    logger: new NestLogger(logger),
    abortOnError: false,
  });
  // Its connections may all be down for a while, and nothing else keeps a process without a server alive.
  setInterval(() => undefined, 2 ** 30);
  const open = (): Promise<void> => {
    process.stdout.write('ChatAPI worker is running.\n');
    return Promise.resolve();
  };
  return { app, open };
};
