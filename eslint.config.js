import path from 'node:path';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

const TESTS = ['test/**/*.ts', '**/*.test.ts', '**/*.test-support.ts'];

/** Names that gather unrelated code: a file is called after its one subject. */
const VAGUE_NAME = /(^|[.\-_])(utils?|helpers?|shared|misc)([.\-_]|$)/;

const house = {
  rules: {
    'file-name': {
      meta: { type: 'problem', schema: [], messages: { vague: '"{{name}}" says nothing: name it after its subject.' } },
      create: (context) => ({
        Program(node) {
          const parts = path.relative(context.cwd, context.filename).split(path.sep);
          for (const name of parts.filter((part) => VAGUE_NAME.test(part))) {
            context.report({ node, messageId: 'vague', data: { name } });
          }
        },
      }),
    },
  },
};

const EVERYWHERE = [
  {
    selector: "CallExpression[callee.property.name='only'][callee.object.name=/^(it|test|describe|suite)$/]",
    message: 'One test would run and all the others would be left out.',
  },
  {
    selector: "CallExpression[callee.name=/^(it|test|describe|suite)$/] > ObjectExpression > Property[key.name='only']",
    message: 'One test would run and all the others would be left out.',
  },
  { selector: "Identifier[name='forwardRef']", message: 'A cycle: turn one direction into an event.' },
];

/** A body typed by an `import type` has no class at run time, so the pipe would let anything through. */
const DTO_AS_TYPE = {
  selector:
    ":matches(ImportDeclaration[importKind='type'] > ImportSpecifier, ImportSpecifier[importKind='type'])[imported.name=/Dto$/]",
  message: '`import type` of a DTO switches its validation off: import the class.',
};

export default defineConfig(
  globalIgnores(['dist/', 'data/', 'coverage/', '**/node_modules/']),
  {
    plugins: { house },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      'house/file-name': 'error',
      'no-restricted-syntax': ['error', ...EVERYWHERE],
      'array-callback-return': 'error',
      eqeqeq: 'error',
      'no-cond-assign': 'error',
      'no-debugger': 'error',
      'no-dupe-else-if': 'error',
      'no-promise-executor-return': 'error',
      'no-self-compare': 'error',
      'no-template-curly-in-string': 'error',
      'no-unreachable-loop': 'error',
      'no-unsafe-finally': 'error',
      'no-useless-catch': 'error',
      'object-shorthand': 'error',
    },
  },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommended],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/await-thenable': 'error',
      // Off for good: an imported DTO must stay a run-time class, or validation of that body is off.
      '@typescript-eslint/consistent-type-imports': 'off',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            { from: 'package', package: 'node:test', name: ['after', 'before', 'describe', 'it', 'suite', 'test'] },
          ],
        },
      ],
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/prefer-promise-reject-errors': 'error',
      '@typescript-eslint/return-await': ['error', 'in-try-catch'],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      'max-lines-per-function': ['error', { max: 50, skipBlankLines: true, skipComments: true }],
      'max-params': ['error', 6],
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'Only libs/config reads the environment.' },
      ],
      'no-restricted-imports': [
        'error',
        {
          paths: ['process', 'node:process'].map((name) => ({
            name,
            importNames: ['env'],
            message: 'Only libs/config reads the environment.',
          })),
        },
      ],
    },
  },
  { files: ['libs/**/*.ts', 'apps/**/*.ts'], rules: { 'max-lines': ['error', 350] } },
  { files: ['libs/**/*.ts'], ignores: TESTS, rules: { 'no-console': 'error' } },
  {
    files: ['**/*.controller.ts', '**/*.gateway.ts'],
    rules: { 'no-restricted-syntax': ['error', ...EVERYWHERE, DTO_AS_TYPE] },
  },
  {
    files: [...TESTS, 'libs/config/**/*.ts', 'ormconfig.ts'],
    rules: { 'no-restricted-properties': 'off', 'no-restricted-imports': 'off' },
  },
  {
    files: [...TESTS, '**/migrations/*.ts'],
    rules: { 'max-lines': 'off', 'max-lines-per-function': 'off' },
  },
);
