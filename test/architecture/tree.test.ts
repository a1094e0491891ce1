import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, it } from 'node:test';

const MAX_LINES = 350;
const KEBAB = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*\.ts$/;

const sources = ['apps', 'libs', 'test']
  .filter((root) => existsSync(root))
  .flatMap((root) =>
    readdirSync(root, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => join(root, file)),
  );

describe('the tree', () => {
  it('has an index and a README in each lib', () => {
    const libs = readdirSync('libs').filter((lib) => existsSync(join('libs', lib, 'src')));
    const needed = libs.flatMap((lib) => [join('libs', lib, 'src/index.ts'), join('libs', lib, 'README.md')]);
    assert.ok(libs.length > 0);
    assert.deepEqual(
      needed.filter((file) => !existsSync(file)),
      [],
    );
  });

  it('names files in kebab-case, after what they hold', () => {
    assert.deepEqual(
      sources.filter((file) => !KEBAB.test(basename(file))),
      [],
    );
    assert.deepEqual(
      sources.filter((file) => /^(utils?|helpers?|shared)\./.test(basename(file))),
      [],
    );
  });

  it(`has no source file above ${MAX_LINES} lines`, () => {
    const counted = sources.filter((file) => !/^test\/|\.test(-support)?\.ts$|\/migrations\//.test(file));
    assert.deepEqual(
      counted.filter((file) => readFileSync(file, 'utf8').split('\n').length - 1 > MAX_LINES),
      [],
    );
  });

  it('imports no DTO as a type in a controller, which would switch its validation off', () => {
    const asType = /import\s+type\s*\{[^}]*Dto\b[^}]*\}|import\s*\{[^}]*\btype\s+\w*Dto\b[^}]*\}/;
    const controllers = sources.filter((file) => file.endsWith('.controller.ts'));
    assert.deepEqual(
      controllers.filter((file) => asType.test(readFileSync(file, 'utf8'))),
      [],
    );
  });

  it('pins every dependency to one version', () => {
    const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Record<string, Record<string, string>>;
    const all = ['dependencies', 'devDependencies', 'optionalDependencies'].flatMap((k) =>
      Object.entries(manifest[k] ?? {}),
    );
    assert.deepEqual(
      all.filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)),
      [],
    );
  });
});
