// Removes from dist what no source stands behind any more, so that a deleted test or module cannot live on there.
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const OUTPUT = /\.(js|d\.ts)(\.map)?$/;

for (const root of ['apps', 'libs', 'test']) {
  const folder = join('dist', root);
  if (!existsSync(folder)) continue;
  for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (OUTPUT.test(file) && !existsSync(join(root, file.replace(OUTPUT, '.ts')))) rmSync(join(folder, file));
  }
}
