import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';

const ROOT = path.resolve(import.meta.dirname, '../../..');
const CRUISER = path.join(ROOT, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
const CONFIG = ['.dependency-cruiser.cjs', 'tsconfig.json', 'tsconfig.dependencies.json'];
const LIBS =
  'common contracts config database jobs clients users rooms messages notifications webhooks composition process'.split(
    ' ',
  );
const PACKAGES = ['pg', 'bull', 'typeorm', 'devtool', 'stray'];
const MANIFEST = {
  name: 'tree',
  dependencies: { pg: '1.0.0', bull: '1.0.0', typeorm: '1.0.0' },
  devDependencies: { devtool: '1.0.0' },
};

type Edge = readonly [rule: string, from: string, imported: string];

/** Each line breaks exactly the rule it names. */
const BROKEN: readonly Edge[] = [
  ['known-lib', 'libs/toolbox/src/a.ts', 'node:crypto'],
  ['common-imports-no-lib', 'libs/common/src/up.ts', '#libs/config'],
  ['common-without-io', 'libs/common/src/disk.ts', 'node:fs/promises'],
  ['common-without-io', 'libs/common/src/sql.ts', 'pg'],
  ['contracts-import-common-only', 'libs/contracts/src/up.ts', '#libs/database'],
  ['platform-below-features', 'libs/database/src/up.ts', '#libs/rooms'],
  ['libs-below-apps', 'libs/jobs/src/up.ts', '../../../apps/api/src/app.js'],
  ['composition-for-apps-only', 'libs/rooms/src/all.ts', '#libs/composition'],
  ['process-for-apps-only', 'libs/composition/src/all.ts', '#libs/process'],
  ['apps-stand-alone', 'apps/worker/src/aside.ts', '../../api/src/app.js'],
  ['feature-line-clients', 'libs/clients/src/up.ts', '#libs/users'],
  ['feature-line-users', 'libs/users/src/up.ts', '#libs/rooms'],
  ['feature-line-rooms', 'libs/rooms/src/up.ts', '#libs/messages'],
  ['feature-line-messages', 'libs/messages/src/up.ts', '#libs/webhooks'],
  ['feature-line-notifications', 'libs/notifications/src/aside.ts', '#libs/webhooks'],
  ['feature-line-webhooks', 'libs/webhooks/src/aside.ts', '#libs/notifications'],
  ['lib-by-its-name', 'libs/users/src/relative.ts', '../../common/src/index.js'],
  ['lib-by-its-name-from-outside', 'apps/api/src/relative.ts', '../../../libs/common/src/index.js'],
  ['not-through-own-door', 'libs/users/src/own.ts', './index.js'],
  ['service-not-to-controller', 'libs/rooms/src/rooms.service.ts', './rooms.controller.js'],
  ['service-not-to-controller', 'libs/rooms/src/other.service.ts', './rooms.gateway.js'],
  ['controller-not-to-repository', 'libs/rooms/src/greedy.controller.ts', './rooms.repository.js'],
  ['controller-not-to-repository', 'libs/rooms/src/sql.controller.ts', 'typeorm'],
  ['controller-not-to-repository', 'libs/rooms/src/sql.gateway.ts', 'pg'],
  ['entity-inside-persistence', 'libs/rooms/src/row.service.ts', './room.entity.js'],
  ['bull-only-in-jobs', 'libs/messages/src/queue.ts', 'bull'],
  ['not-to-test-code', 'libs/rooms/src/proof.ts', './rooms.test.js'],
  ['not-to-test-code', 'apps/api/src/proof.ts', '../../../test/support/api.js'],
  ['not-to-dev-dependency', 'apps/api/src/tool.ts', 'devtool'],
  ['listed-package', 'apps/api/src/stray.ts', 'stray'],
  ['resolvable', 'libs/users/src/nowhere.ts', './nowhere-to-be-found.js'],
];

/** What the rules must leave alone. */
const SOUND: readonly (readonly [from: string, imported: string])[] = [
  ['libs/webhooks/src/down.ts', '#libs/messages'],
  ['libs/notifications/src/down.ts', '#libs/clients'],
  ['libs/database/src/down.ts', '#libs/config'],
  ['libs/contracts/src/down.ts', '#libs/common'],
  ['libs/jobs/src/queue.ts', 'bull'],
  ['libs/rooms/src/rooms.repository.ts', './room.entity.js'],
  ['libs/rooms/src/rooms.module.ts', './rooms.controller.js'],
  ['libs/common/src/any.test.ts', '../../rooms/src/rooms.repository.js'],
  ['test/e2e/any.test.ts', '../../libs/rooms/src/rooms.repository.js'],
  ['apps/api/src/down.ts', '#libs/rooms'],
  ['apps/worker/src/down.ts', '#libs/composition'],
  ['apps/worker/src/life.ts', '#libs/process'],
  ['libs/composition/src/down.ts', '#libs/webhooks'],
];

const EMPTY = [
  'apps/api/src/app.ts',
  'test/support/api.ts',
  ...LIBS.map((lib) => `libs/${lib}/src/index.ts`),
  ...['room.entity', 'rooms.controller', 'rooms.gateway', 'rooms.test'].map((name) => `libs/rooms/src/${name}.ts`),
];

interface Violation {
  rule: { name: string };
  from: string;
}

async function writeTree(dir: string, imports: readonly (readonly [from: string, imported: string])[]): Promise<void> {
  const files = new Map<string, string>(EMPTY.map((file) => [file, 'export {};\n']));
  for (const name of PACKAGES) {
    files.set(`node_modules/${name}/package.json`, JSON.stringify({ name, version: '1.0.0', main: 'index.js' }));
    files.set(`node_modules/${name}/index.js`, 'module.exports = {};\n');
  }
  files.set('package.json', JSON.stringify(MANIFEST));
  for (const [from, imported] of imports) {
    files.set(from, imported ? `import '${imported}';\n` : 'export {};\n');
  }
  for (const [file, text] of files) {
    await mkdir(path.dirname(path.join(dir, file)), { recursive: true });
    await writeFile(path.join(dir, file), text);
  }
  await Promise.all(CONFIG.map((file) => cp(path.join(ROOT, file), path.join(dir, file))));
}

function violations(dir: string): Promise<string[]> {
  const args = [CRUISER, '--config', '.dependency-cruiser.cjs', '--output-type', 'json', 'apps', 'libs', 'test'];
  return new Promise((resolve, reject) => {
    // The exit code counts the violations, so only an unreadable answer is an error.
    execFile(process.execPath, args, { cwd: dir, maxBuffer: 64 << 20 }, (_error, stdout, stderr) => {
      try {
        const found = (JSON.parse(stdout) as { summary: { violations: Violation[] } }).summary.violations;
        resolve([...new Set(found.map((violation) => `${violation.rule.name}: ${violation.from}`))].sort());
      } catch {
        reject(new Error(`dependency-cruiser answered: ${stderr || stdout.slice(0, 500)}`));
      }
    });
  });
}

describe('dependency rules', () => {
  let dir: string;
  before(async () => {
    dir = await mkdtemp(path.join(tmpdir(), 'dependency-rules-'));
  });
  after(() => rm(dir, { recursive: true, force: true }));

  it('each fire on a tree that breaks them, and nowhere else', async () => {
    const tree = path.join(dir, 'broken');
    const deeper: readonly Edge[] = [['front-door', 'libs/messages/src/deep.ts', '#libs/rooms/room.entity.js']];
    await writeTree(tree, [...BROKEN, ...deeper].map(([, from, imported]) => [from, imported] as const).concat(SOUND));
    const found = (await violations(tree)).filter((line) => !line.startsWith('no-lib-cycles'));
    assert.deepEqual(
      found,
      [...BROKEN.map(([rule, from]) => `${rule}: ${from}`), 'resolvable: libs/messages/src/deep.ts'].sort(),
    );
  });

  it('see a file behind another lib’s door, and cycles of files and of libs', async () => {
    const tree = path.join(dir, 'cycles');
    await writeTree(tree, [
      ['libs/messages/src/deep.ts', '../../rooms/src/inside.js'],
      ['libs/rooms/src/inside.ts', ''],
      ['apps/api/src/deep.ts', '../../../libs/rooms/src/inside.js'],
      ['libs/users/src/a.ts', './b.js'],
      ['libs/users/src/b.ts', './a.js'],
      ['libs/config/src/one.ts', '#libs/database'],
      ['libs/database/src/two.ts', '#libs/config'],
    ]);
    assert.deepEqual(await violations(tree), [
      'front-door-from-outside: apps/api/src/deep.ts',
      'front-door: libs/messages/src/deep.ts',
      'lib-by-its-name-from-outside: apps/api/src/deep.ts',
      'lib-by-its-name: libs/messages/src/deep.ts',
      'no-cycles: libs/users/src/a.ts',
      'no-lib-cycles: libs/config/src',
      'no-lib-cycles: libs/database/src',
    ]);
  });

  it('hold for the real tree', async () => {
    assert.deepEqual(await violations(ROOT), []);
  });
});
