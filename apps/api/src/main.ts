import 'reflect-metadata';
import { runProcess } from '#libs/composition';
import { banner } from './console.js';
import { createApp } from './create-app.js';

runProcess(async (config, database, logger) => {
  const app = await createApp(config, database, logger);
  return {
    app,
    open: async () => {
      await app.listen({ port: config.port, host: config.host });
      process.stdout.write(banner(config));
    },
  };
});
