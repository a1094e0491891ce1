/** The direction of the tree as rules: apps → features → platform → common, contracts. */
const BASE = ['common', 'contracts'];
const PLATFORM = ['config', 'database', 'security', 'egress', 'jobs', 'realtime', 'observability'];
/** Each feature with those it may use. */
const FEATURES = {
  clients: [],
  users: ['clients'],
  rooms: ['users', 'clients'],
  messages: ['rooms', 'users', 'clients'],
  notifications: ['messages', 'rooms', 'users', 'clients'],
  webhooks: ['messages', 'rooms', 'users', 'clients'],
};

const features = Object.keys(FEATURES);
const libs = (names) => `^libs/(${names.join('|')})/`;
// Where it is not installed, an import has the package's name for a path.
const packages = (names) => `(^|/)node_modules/(@types/)?(${names.join('|')})(/|$)|^(${names.join('|')})(/|$)`;
const TEST = String.raw`^test/|\.test(-support)?\.ts$`;
const SOURCE = { path: '^(apps|libs)/', pathNot: TEST };

const rule = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to });

module.exports = {
  forbidden: [
    rule(
      'known-lib',
      'A new lib gets its place in this file first.',
      { path: '^libs/', pathNot: libs([...BASE, ...PLATFORM, ...features]) },
      {},
    ),
    rule(
      'base-uses-nothing',
      'common and contracts stand below everything.',
      { path: libs(BASE) },
      { path: '^(apps|libs)/', pathNot: libs(BASE) },
    ),
    rule(
      'platform-not-up',
      'The platform knows no feature and no app.',
      { path: libs(PLATFORM) },
      { path: ['^apps/', libs(features)] },
    ),
    rule('feature-not-app', 'Apps compose features, never the reverse.', { path: libs(features) }, { path: '^apps/' }),
    ...features.map((feature) =>
      rule(
        `feature-order-${feature}`,
        'webhooks, notifications → messages → rooms → users → clients; upward goes by event.',
        { path: libs([feature]) },
        { path: libs(features.filter((other) => other !== feature && !FEATURES[feature].includes(other))) },
      ),
    ),
    rule(
      'lib-door',
      'Another lib is reached through its src/index only.',
      { path: '^libs/([^/]+)/' },
      { path: '^libs/', pathNot: ['^libs/$1/', String.raw`^libs/[^/]+/src/index\.ts$`] },
    ),
    rule(
      'lib-door-app',
      'An app reaches a lib through its src/index only.',
      { path: '^apps/' },
      { path: '^libs/', pathNot: String.raw`^libs/[^/]+/src/index\.ts$` },
    ),
    // Types are gone at run time; entities refer to one another by `import type`.
    rule(
      'no-cycle',
      'A cycle has no load order.',
      {},
      { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    ),
    rule(
      'controller-not-storage',
      'A controller says who may and hands over.',
      { path: String.raw`\.controller\.ts$` },
      { path: [String.raw`\.repository\.ts$`, packages(['pg', 'typeorm', '@nestjs/typeorm'])] },
    ),
    rule(
      'service-not-controller',
      'Rules do not know the transport.',
      { path: String.raw`\.service\.ts$` },
      { path: String.raw`\.controller\.ts$` },
    ),
    rule('source-not-test', 'What ships does not load tests.', SOURCE, { path: TEST }),
    rule(
      'bull-in-jobs',
      'Bull is one engine behind the port of libs/jobs.',
      { path: '^(apps|libs|test)/', pathNot: '^libs/jobs/' },
      { path: packages(['bull', 'bullmq', '@nestjs/bull', '@nestjs/bullmq']) },
    ),
  ],
  options: {
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|data)/' },
    // package.json maps #libs/* to dist; the rules look at the sources.
    webpackConfig: { fileName: `${__dirname}/scripts/lib-alias.cjs` },
    enhancedResolveOptions: { conditionNames: ['import', 'node', 'default'] },
  },
};
