import type { Prepare } from '#libs/process';
import { banner } from './console.js';
import { createApp, listen } from './create-app.js';

/** The API, which listens once it is opened. */
export const prepareApi: Prepare = async (config, database, logger) => {
  const app = await createApp(config, database, logger);
  return {
    app,
    open: async () => {
      await listen(app, config);
      process.stdout.write(banner(config));
    },
  };
};
