import 'reflect-metadata';
import { loadConfig } from '#libs/config';
import { createLogger, Health } from '#libs/observability';
import { banner, explain } from './console.js';
import { createApp } from './create-app.js';
import { startDatabase } from './start-database.js';

const DRAIN_MS = 25_000;

async function main(): Promise<void> {
  const config = loadConfig();
  const logger = createLogger(config.logLevel);
  const { database, embedded } = await startDatabase(config, logger);
  const app = await createApp(config, database, logger);
  let stopping = false;
  const stop = async (): Promise<void> => {
    if (stopping) return;
    stopping = true;
    app.get(Health).stopping = true;
    setTimeout(() => process.exit(1), DRAIN_MS).unref();
    await app.close();
    // Last: until here running requests still need it.
    await embedded?.stop();
    process.exit(0);
  };
  process.on('SIGTERM', () => void stop());
  process.on('SIGINT', () => void stop());
  void embedded?.exited.then(({ detail }) => {
    if (stopping) return;
    process.stderr.write(`The embedded PostgreSQL ended by itself: ${detail}\n`);
    process.exit(1);
  });
  await app.listen({ port: config.port, host: config.host });
  process.stdout.write(banner(config));
}

main().catch((error: unknown) => {
  process.stderr.write(`${explain(error)}\n`);
  process.exit(1);
});
