/*
 * Which file may import which. The direction is: apps → features → platform → common, contracts; between features only
 * down one line. `test/architecture/dependency-rules.test.ts` proves every rule on a tree that breaks it.
 */
const PLATFORM = ['config', 'database', 'security', 'egress', 'events', 'jobs', 'realtime', 'observability', 'process'];

/** What each feature may import of the others: everything below it on the line. */
const FEATURES = {
  clients: [],
  users: ['clients'],
  rooms: ['users', 'clients'],
  messages: ['rooms', 'users', 'clients'],
  notifications: ['messages', 'rooms', 'users', 'clients'],
  webhooks: ['messages', 'rooms', 'users', 'clients'],
};

const anyOf = (names) => `(${names.join('|')})`;
const lib = (...names) => `^libs/${anyOf(names)}/`;
const npm = (...names) => `(^|/)node_modules/${anyOf(names)}/`;

const FEATURE_NAMES = Object.keys(FEATURES);
const LIB_NAMES = ['common', 'contracts', ...PLATFORM, ...FEATURE_NAMES, 'composition'];
const TESTS = '\\.test(-support)?\\.ts$|^test/';
const DOOR = '^libs/[^/]+/src/index\\.ts$';
const OWN_CODE = '^(apps|libs)/|^ormconfig\\.ts$';

const error = (name, comment, from, to) => ({
  name,
  severity: 'error',
  comment,
  from,
  to,
});

const direction = [
  error(
    'known-lib',
    'A new lib gets its place in the direction first: name it in this file.',
    { path: '^libs/', pathNot: lib(...LIB_NAMES) },
    {},
  ),
  error(
    'common-imports-no-lib',
    'common is the ground: it imports no other lib.',
    { path: lib('common') },
    { path: '^(apps|libs)/', pathNot: lib('common') },
  ),
  error(
    'common-without-io',
    'common has no I/O and no entities, so that anything may import it.',
    { path: lib('common') },
    {
      path: `^(fs|fs/promises|net|tls|dgram|dns|dns/promises|http|https|child_process)$|${npm('pg', 'typeorm', 'ioredis')}`,
    },
  ),
  error(
    'contracts-import-common-only',
    'contracts describe; they import nothing but common.',
    { path: lib('contracts') },
    { path: '^(apps|libs)/', pathNot: lib('contracts', 'common') },
  ),
  error(
    'platform-below-features',
    'A platform lib knows no feature: the feature hands in what differs.',
    { path: lib(...PLATFORM) },
    { path: lib(...FEATURE_NAMES) },
  ),
  error('libs-below-apps', 'A lib knows no app.', { path: '^libs/' }, { path: '^apps/' }),
  error(
    'composition-for-apps-only',
    'composition puts everything together: whoever it puts together does not know it.',
    { path: '^libs/', pathNot: lib('composition') },
    { path: lib('composition') },
  ),
  error(
    'process-for-apps-only',
    'process starts and ends everything: whoever it starts does not know it.',
    { path: '^libs/', pathNot: lib('process') },
    { path: lib('process') },
  ),
  error(
    'apps-stand-alone',
    'What two apps share is a lib.',
    { path: '^apps/([^/]+)/' },
    { path: '^apps/', pathNot: '^apps/$1/' },
  ),
  ...FEATURE_NAMES.map((name) =>
    error(
      `feature-line-${name}`,
      `${name} may import ${FEATURES[name].join(', ') || 'no other feature'}; anything upward is an event.`,
      { path: lib(name) },
      {
        path: lib(...FEATURE_NAMES.filter((other) => other !== name && !FEATURES[name].includes(other))),
      },
    ),
  ),
];

const doors = [
  error(
    'front-door',
    'Another lib is reached through its index and nothing deeper.',
    { path: '^libs/([^/]+)/' },
    { path: '^libs/', pathNot: ['^libs/$1/', DOOR] },
  ),
  error(
    'front-door-from-outside',
    'A lib is reached through its index and nothing deeper.',
    { path: '^apps/|^ormconfig\\.ts$' },
    { path: '^libs/', pathNot: DOOR },
  ),
  error(
    'lib-by-its-name',
    'Another lib is imported as #libs/<name>, never by a relative path.',
    { path: '^libs/([^/]+)/' },
    { path: '^libs/', pathNot: '^libs/$1/', dependencyTypesNot: ['aliased'] },
  ),
  error(
    'lib-by-its-name-from-outside',
    'A lib is imported as #libs/<name>, never by a relative path.',
    { path: '^apps/|^ormconfig\\.ts$' },
    { path: '^libs/', dependencyTypesNot: ['aliased'] },
  ),
  error(
    'not-through-own-door',
    'Inside a lib files import each other directly: its own index would make a cycle.',
    { path: '^libs/([^/]+)/' },
    { path: '^libs/$1/src/index\\.ts$' },
  ),
];

const cycles = [
  error(
    'no-cycles',
    'Two files that need each other at run time load in an order nobody chose. Types alone may (entity relations).',
    {},
    { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
  ),
  {
    ...error(
      'no-lib-cycles',
      'Two libs that need each other are one lib.',
      { path: '^libs/[^/]+/src$' },
      { path: '^libs/[^/]+/src$', circular: true },
    ),
    scope: 'folder',
  },
];

const roles = [
  error(
    'service-not-to-controller',
    'Rules do not know how they are called: only a module names its controllers and gateways.',
    { path: '^libs/', pathNot: `\\.module\\.ts$|/index\\.ts$` },
    { path: '\\.(controller|gateway)\\.ts$' },
  ),
  error(
    'controller-not-to-repository',
    'A controller says who may and hands over to a service.',
    { path: '\\.(controller|gateway)\\.ts$' },
    { path: `\\.repository\\.ts$|${npm('typeorm', '@nestjs/typeorm', 'pg')}` },
  ),
  error(
    'entity-inside-persistence',
    'An entity is the shape of a row: outside the repository the DTO speaks.',
    {
      path: '^(apps|libs)/',
      pathNot: `\\.(entity|repository|mapper|module)\\.ts$|/index\\.ts$|${lib('database')}`,
    },
    { path: '\\.entity\\.ts$' },
  ),
  error(
    'bull-only-in-jobs',
    'Bull is an engine behind the JobEngine port.',
    { pathNot: lib('jobs') },
    { path: npm('bull', '@nestjs/bull', '@nestjs/bull-shared') },
  ),
];

const packages = [
  error('not-to-test-code', 'What ships does not import what tests it.', { path: OWN_CODE }, { path: TESTS }),
  error(
    'not-to-dev-dependency',
    'The image has production dependencies only.',
    { path: OWN_CODE },
    { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
  ),
  error(
    'listed-package',
    'An imported package stands in package.json, or an update of another one takes it away.',
    {},
    { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
  ),
  error('resolvable', 'The import leads nowhere.', {}, { couldNotResolve: true }),
];

module.exports = {
  forbidden: [...direction, ...doors, ...cycles, ...roles, ...packages],
  options: {
    // Tests may import what they like; what is listed here is seen as a target and never as a source.
    doNotFollow: { path: ['node_modules', TESTS] },
    exclude: { path: '^(dist|data)/' },
    tsPreCompilationDeps: true,
    // package.json maps #libs/* to the build; this maps it back to the sources, types included.
    tsConfig: { fileName: 'tsconfig.dependencies.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
    metrics: false,
  },
};
