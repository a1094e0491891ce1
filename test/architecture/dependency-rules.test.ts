import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { describe, it } from 'node:test';

const CRUISER = resolve('node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
const CONFIG = resolve('.dependency-cruiser.cjs');

/** Names of the rules that a tree breaks. */
function brokenRules(cwd: string): string[] {
  const roots = ['apps', 'libs', 'test', 'ormconfig.ts'].filter((root) => existsSync(join(cwd, root)));
  const result = spawnSync(process.execPath, [CRUISER, '--config', CONFIG, '-T', 'json', ...roots], {
    cwd,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  const { summary } = JSON.parse(result.stdout) as {
    summary: { totalCruised: number; violations: { rule: { name: string } }[] };
  };
  assert.ok(summary.totalCruised > 0, 'looked at something');
  return [...new Set(summary.violations.map(({ rule }) => rule.name))].sort();
}

/** The rules broken by a file that imports this, beside the target where it is a source. */
function brokenBy(from: string, specifier: string, target: string | undefined, back = ''): string[] {
  const directory = mkdtempSync(join(tmpdir(), 'chatapi-rules-'));
  const write = (file: string, text: string) => {
    mkdirSync(dirname(join(directory, file)), { recursive: true });
    writeFileSync(join(directory, file), text);
  };
  try {
    if (target) write(target, `${back}\nexport const target = 1;\n`);
    write(from, `import * as used from '${specifier}';\nexport const it = used;\n`);
    return brokenRules(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const index = (lib: string) => `libs/${lib}/src/index.ts`;
const BAD: [rule: string, from: string, specifier: string, target?: string, back?: string][] = [
  ['known-lib', 'libs/odd/src/a.ts', '#libs/common', index('common')],
  ['base-uses-nothing', 'libs/common/src/a.ts', '#libs/config', index('config')],
  ['platform-not-up', 'libs/jobs/src/a.ts', '#libs/rooms', index('rooms')],
  ['feature-not-app', 'libs/rooms/src/a.ts', '../../../apps/api/src/b.js', 'apps/api/src/b.ts'],
  ['feature-order-clients', 'libs/clients/src/a.ts', '#libs/users', index('users')],
  ['feature-order-users', 'libs/users/src/a.ts', '#libs/rooms', index('rooms')],
  ['feature-order-rooms', 'libs/rooms/src/a.ts', '#libs/messages', index('messages')],
  ['feature-order-messages', 'libs/messages/src/a.ts', '#libs/webhooks', index('webhooks')],
  ['feature-order-notifications', 'libs/notifications/src/a.ts', '#libs/webhooks', index('webhooks')],
  ['feature-order-webhooks', 'libs/webhooks/src/a.ts', '#libs/notifications', index('notifications')],
  ['lib-door', 'libs/rooms/src/a.ts', '../../users/src/b.js', 'libs/users/src/b.ts'],
  ['lib-door-app', 'apps/api/src/a.ts', '../../../libs/users/src/b.js', 'libs/users/src/b.ts'],
  ['no-cycle', 'libs/rooms/src/a.ts', './b.js', 'libs/rooms/src/b.ts', "export { it } from './a.js';"],
  ['controller-not-storage', 'libs/rooms/src/a.controller.ts', './a.repository.js', 'libs/rooms/src/a.repository.ts'],
  ['controller-not-storage', 'libs/rooms/src/a.controller.ts', 'pg'],
  ['controller-not-storage', 'libs/rooms/src/a.controller.ts', 'typeorm'],
  ['service-not-controller', 'libs/rooms/src/a.service.ts', './a.controller.js', 'libs/rooms/src/a.controller.ts'],
  ['source-not-test', 'libs/rooms/src/a.ts', './b.test-support.js', 'libs/rooms/src/b.test-support.ts'],
  ['bull-in-jobs', 'libs/rooms/src/a.ts', 'bull'],
];

describe('dependency rules', { concurrency: 4 }, () => {
  for (const [rule, from, specifier, target, back] of BAD) {
    it(`${rule}: refuses ${from} → ${specifier}`, () => {
      assert.deepEqual(brokenBy(from, specifier, target, back), [rule]);
    });
  }

  it('allows what goes down through a door', () => {
    assert.deepEqual(brokenBy('libs/rooms/src/a.ts', '#libs/users', index('users')), []);
    assert.deepEqual(brokenBy('libs/jobs/src/a.ts', 'bull', undefined), []);
  });

  it('finds nothing in this tree', () => assert.deepEqual(brokenRules(process.cwd()), []));
});
