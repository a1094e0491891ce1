import 'reflect-metadata';
import { runProcess } from '#libs/composition';
import { banner } from './console.js';
import { createApp, listen } from './create-app.js';

runProcess(async (config, database, logger) => {
  const app = await createApp(config, database, logger);
  return {
    app,
    open: async () => {
      await listen(app, config);
      process.stdout.write(banner(config));
    },
  };
});
