import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { Metrics } from '#libs/observability';
import { call, startApi, type TestApi } from '../support/api.js';

/** A metric as a dashboard is built on it: its name, and its labels in braces. */
function written(name: string, labels: readonly string[]): string {
  return labels.length === 0 ? name : `${name}{${[...labels].sort().join(',')}}`;
}

/** What the table of docs/operating.md lists. A `*` stands for any part of a name. */
function documented(): string[] {
  const rows = readFileSync('docs/operating.md', 'utf8').split('\n');
  const names = rows
    .filter((row) => row.startsWith('| `chatapi_'))
    .flatMap((row) => [...row.split('|')[1]!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!));
  return names.map((name) => {
    const [, bare, labels] = /^([a-z0-9_*]+)(?:\{(.+)\})?$/.exec(name) ?? assert.fail(name);
    return written(bare!, labels?.split(',') ?? []);
  });
}

/** Families that the library for Node.js brings along; the table names them as a whole. */
const OF_THE_RUNTIME = /^chatapi_(nodejs|process)_/;

describe('GET /metrics', () => {
  let api: TestApi;
  let actual: string[];
  let runtime: string[];
  before(async () => {
    api = await startApi();
    const all = api.app.get(Metrics).registry.getMetricsAsArray() as unknown as {
      name: string;
      labelNames?: string[];
    }[];
    runtime = all.map(({ name }) => name).filter((name) => OF_THE_RUNTIME.test(name));
    actual = all
      .filter(({ name }) => !OF_THE_RUNTIME.test(name))
      .map(({ name, labelNames = [] }) => written(name, labelNames));
  });
  after(() => api.stop());

  it('has every metric that is documented, with its labels, and no other', () => {
    assert.deepEqual(
      documented()
        .filter((name) => !name.includes('*'))
        .sort(),
      actual.sort(),
    );
  });

  it('has what the table sums up', () => {
    const families = documented().filter((name) => name.includes('*'));
    const patterns = families.map((family) => new RegExp(`^${family.replaceAll('*', '\\w+')}$`));
    for (const [i, pattern] of patterns.entries())
      assert.ok(
        runtime.some((name) => pattern.test(name)),
        families[i],
      );
    assert.deepEqual(
      runtime.filter((name) => !patterns.some((pattern) => pattern.test(name))),
      [],
    );
  });

  it('says of each what it is', async () => {
    const { text } = await call(`${api.url}/metrics`, 'GET');
    const [helps, types] = ['HELP', 'TYPE'].map((word) => [
      ...text.matchAll(new RegExp(`^# ${word} (\\w+) .+$`, 'gm')),
    ]);
    const names = [...actual.map((name) => name.replace(/\{.*/, '')), ...runtime].sort();
    assert.deepEqual(helps!.map(([, name]) => name).sort(), names);
    assert.deepEqual(types!.map(([, name]) => name).sort(), names);
  });
});
