const { join } = require('node:path');

/** Tells dependency-cruiser that `#libs/<name>` is the source of that lib's index, as tsc and the build see it. */
module.exports = {
  resolve: { alias: { '#libs/*': join(process.cwd(), 'libs/*/src/index.ts') } },
};
