// Builds when something has changed since the last build, so that a second start does not wait for the compiler.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const STAMP = 'dist/.build.json';
/** The compiler's incremental state does not know of these: when one changes, everything is compiled again. */
const TOOLS = ['package.json', 'package-lock.json', 'tsconfig.json', 'nest-cli.json'];

const hash = (files) => {
  const digest = createHash('sha256');
  for (const file of files) digest.update(`${file}\0`).update(readFileSync(file)).update('\0');
  return digest.digest('hex');
};

const filesOf = (folder) =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((file) => join(folder, file))
    : [];

const sources = ['apps', 'libs', 'test']
  .flatMap(filesOf)
  .concat('ormconfig.ts')
  .filter((file) => file.endsWith('.ts') && existsSync(file))
  .sort();
const scripts = filesOf('scripts').sort();
const stamp = { tools: hash(TOOLS), sources: hash([...sources, ...scripts]) };
const last = existsSync(STAMP) ? JSON.parse(readFileSync(STAMP, 'utf8')) : {};
const isBuilt = sources.every((file) => existsSync(join('dist', file.replace(/\.ts$/, '.js'))));

if (!isBuilt || last.tools !== stamp.tools || last.sources !== stamp.sources) {
  if (!isBuilt || last.tools !== stamp.tools) rmSync('dist/.tsbuildinfo', { force: true });
  rmSync(STAMP, { force: true });
  for (const [program, ...args] of [['scripts/clean-dist.mjs'], ['node_modules/@nestjs/cli/bin/nest.js', 'build']]) {
    try {
      execFileSync(process.execPath, [program, ...args], { stdio: 'inherit' });
    } catch (error) {
      process.exit(error.status ?? 1);
    }
  }
  writeFileSync(STAMP, JSON.stringify(stamp));
}
