import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { inspect, promisify } from 'node:util';
import ts from 'typescript';
import { OPENAPI_FILE } from '#libs/contracts';
import { aTenant, startApi, type TestApi } from '../support/api.js';
import { startHttpFake } from '../support/http-fake.js';
import { startLossyProxy } from '../support/lossy-proxy.js';

const run = promisify(execFile);

const GUIDE = readFileSync('docs/sdk.md', 'utf8');
const blocksOf = (language: string): string[] =>
  [...GUIDE.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map((match) => match[1]!);

/** Uses that the types have to refuse, each with the compiler's code for it. */
const WRONG: [what: string, code: string, diagnostic: number][] = [
  ['a misspelt path', "api.GET('/api/v1/mesages', {})", 2345],
  ['a wrong method', "api.DELETE('/api/v1/messages', {})", 2345],
  ['a misspelt field', "api.POST('/api/v1/messages', { body: { room_id, content, mesage_type: 'text' } })", 2561],
  ['a misspelt option', "api.POST('/api/v1/messages', { body: { room_id, content }, param: {} })", 2561],
  ['a field of a wrong type', "api.POST('/api/v1/messages', { body: { room_id, content: 5 } })", 2322],
  ['null where none is allowed', "api.POST('/api/v1/messages', { body: { room_id, content: null } })", 2322],
  ['a missing required field', "api.POST('/api/v1/messages', { body: { room_id } })", 2322],
  ['a missing body', "api.POST('/api/v1/messages', {})", 2345],
  [
    'a value outside its set',
    "api.POST('/api/v1/messages', { body: { room_id, content, message_type: 'video' } })",
    2322,
  ],
  ['a missing path parameter', "api.GET('/api/v1/messages/{message_id}')", 2554],
  ['a misspelt query', "api.GET('/api/v1/messages', { params: { query: { sizes: 1 } } })", 2561],
  ['a query of a wrong type', "api.GET('/api/v1/messages', { params: { query: { size: '1' } } })", 2322],
  [
    'an Idempotency-Key where none is taken',
    "api.PUT('/api/v1/clients/me', { body: {}, params: { header: KEY } })",
    2322,
  ],
  [
    'half a configuration',
    "const smtp: Schemas['EmailProviderPutDto']['provider_config'] = { provider_type: 'smtp' }",
    2322,
  ],
  ["another provider's field", "smtpOf((c) => c.provider_type === 'smtp' && c.api_key)", 2339],
  ['a misspelt field of an answer', "(await ok(api.GET('/api/v1/clients/me'))).data.nam", 2551],
  ['an answer not looked at for an error', "(await api.GET('/api/v1/clients/me')).data.data", 2532],
  ['what may be null', 'roomOf((room) => room.name.length)', 18047],
  ['what may be missing', 'roomOf((room) => room.last_read_seq.toFixed())', 18048],
  ['an error code that there is not', "refused((error) => error.error_code === 'NOT_FOUND')", 2367],
  ['rows of what is no list', "everyRow(() => ok(api.GET('/api/v1/clients/me')))", 2322],
  ["another frame's data", "changed((frame) => frame.type === 'user_left' && frame.data.content)", 2339],
  ["another event's data", "posted((payload) => payload.event === 'room.left' && payload.data.content)", 2339],
];

const WRONG_HEAD = `import { connect, everyRow, ok, type Schemas } from './client.ts';
const [api, room_id, content, KEY] = [connect(''), '', '', { 'Idempotency-Key': '' }];
export declare function smtpOf(use: (config: Schemas['EmailProviderPutDto']['provider_config']) => unknown): void;
export declare function roomOf(use: (room: Schemas['RoomDto']) => unknown): void;
export declare function refused(use: (error: Schemas['ErrorDto']) => unknown): void;
export declare function changed(use: (frame: Schemas['ChangeFrameDto']) => unknown): void;
export declare function posted(use: (payload: Schemas['WebhookPayload']) => unknown): void;
`;

/** As much of the compiled example as the tests here call. */
interface ExampleClient {
  connect(base: string, key?: string): { POST(path: string, init: object): Promise<{ response: Response }> };
  ok(call: Promise<unknown>): Promise<{ data: Record<string, unknown> }>;
}

describe('A client generated from the committed OpenAPI document', () => {
  const folder = mkdtempSync(join(tmpdir(), 'chatapi-sdk-'));
  let api: TestApi;
  /** What the compiler says, by file and line. */
  const said = new Map<string, { line: number; code: number; text: string }[]>();

  before(async () => {
    api = await startApi();
    cpSync('examples/sdk', folder, { recursive: true, filter: (file) => !/dist$|chatapi\.ts$/.test(file) });
    symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    writeFileSync(join(folder, 'guide.ts'), blocksOf('ts').join('\n'));
    writeFileSync(
      join(folder, 'wrong.ts'),
      WRONG_HEAD + WRONG.map(([, code]) => `void (${wrapped(code)});\n`).join(''),
    );
    await generate();
    compile();
  });
  after(async () => {
    await api.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** A statement among expressions. */
  function wrapped(code: string): string {
    return code.startsWith('const ') ? `() => { ${code}; }` : code;
  }

  /** Runs the guide's command, with the committed document for the server's. */
  async function generate(): Promise<void> {
    const command = blocksOf('bash')[0]!.match(/^npx openapi-typescript (.+)$/m)![1]!;
    const args = command.replace('http://localhost:8000/openapi.json', resolve(OPENAPI_FILE)).split(' ');
    const { stderr } = await run(process.execPath, [resolve('node_modules/openapi-typescript/bin/cli.js'), ...args], {
      cwd: folder,
    });
    assert.doesNotMatch(stderr, /warn|error/i);
  }

  /** Compiles by the example's own settings. */
  function compile(): void {
    const host = { ...ts.sys, onUnRecoverableConfigFileDiagnostic: () => assert.fail('tsconfig.json is not valid') };
    const { fileNames, options } = ts.getParsedCommandLineOfConfigFile(join(folder, 'tsconfig.json'), {}, host)!;
    assert.equal(options.strict, true);
    const program = ts.createProgram(fileNames, options);
    const { diagnostics } = program.emit();
    for (const { file, start, code, messageText } of [...ts.getPreEmitDiagnostics(program), ...diagnostics]) {
      const line = file ? file.getLineAndCharacterOfPosition(start!).line : 0;
      const name = file ? file.fileName.slice(folder.length + 1) : '';
      said.set(name, [
        ...(said.get(name) ?? []),
        { line, code, text: ts.flattenDiagnosticMessageText(messageText, ' ') },
      ]);
    }
  }

  const load = (): Promise<ExampleClient> => import(pathToFileURL(join(folder, 'dist/client.js')).href);

  it('compiles under strict, with the example and all that the guide shows', () => {
    assert.deepEqual(
      [...said].filter(([file]) => file !== 'wrong.ts'),
      [],
    );
  });

  it('does not compile when it is used wrongly', () => {
    const first = WRONG_HEAD.split('\n').length - 1;
    const faults = said.get('wrong.ts') ?? [];
    const found = WRONG.map(([what], index) => {
      const here = faults.find(({ line }) => line === first + index);
      return [what, here?.code, here?.text];
    });
    assert.deepEqual(
      found.map(([what, code]) => [what, code]),
      WRONG.map(([what, , code]) => [what, code]),
      inspect(found),
    );
    assert.deepEqual(
      faults.filter(({ line }) => line < first),
      [],
    );
  });

  it('has no type that says nothing, but for free data', () => {
    const types = readFileSync(join(folder, 'chatapi.ts'), 'utf8').replaceAll(/\/\*[\s\S]*?\*\//g, '');
    assert.doesNotMatch(types, /\bany\b/);
    const known = types.replaceAll('[name: string]: unknown;', '/* other headers */');
    const free = [...known.matchAll(/(\w+)\??: \{\s*\[key: string\]: unknown;\s*\}/g)].map(([, field]) => field);
    assert.deepEqual([...new Set(free)].sort(), ['example', 'meta', 'schema']);
    assert.equal(known.match(/\bunknown\b/g)!.length, free.length);
  });

  it('talks: REST, live, pages and refusals', async () => {
    const { stdout } = await run(process.execPath, ['dist/chat.js'], {
      cwd: folder,
      env: { ...process.env, BASE: api.url },
      timeout: 60_000,
    });
    const lines = stdout.trim().split('\n');
    const said = ['Hello Bob', 'Lunch?', 'At noon'];
    const seqs = lines.slice(0, 3).map((line) => Number(line.split(' ')[1]));
    assert.deepEqual(lines, [
      ...said.map((content, index) => `live ${seqs[index]} ann: ${content}`),
      ...said.map((content, index) => `page ${seqs[index]} ${content}`),
      'refused 422 VALIDATION_ERROR content',
    ]);
  });

  it('does once what it sends again, when the answer was lost and when it is told to wait', async () => {
    const { connect, ok } = await load();
    const tenant = await aTenant(api);
    const proxy = await startLossyProxy(api.url, ['lose the answer', 'busy', 'pass']);
    try {
      const room = { body: { name: 'Once' }, params: { header: { 'Idempotency-Key': randomUUID() } } };
      const { response } = await connect(proxy.url, tenant.key).POST('/api/v1/rooms', room);
      assert.equal(response.status, 201);
      assert.equal(response.headers.get('idempotency-replayed'), 'true');
      assert.equal(proxy.left(), 0);
      const rooms = await api.call('GET', '/rooms/all', { key: tenant.key });
      assert.equal(rooms.body.pagination.total, 1);
      await assert.doesNotReject(ok(connect(api.url, tenant.key).POST('/api/v1/rooms', { body: { name: 'Two' } })));
    } finally {
      await proxy.close();
    }
  });

  it('does not send again what could be done twice, nor what it would wait for too long', async () => {
    const { connect } = await load();
    const fake = await startHttpFake(() => 'cut');
    try {
      await assert.rejects(connect(fake.url, 'key').POST('/api/v1/rooms', { body: { name: 'Twice?' } }));
      assert.equal(fake.requests.length, 1);
      fake.answer = () => ({ status: 429, headers: { 'retry-after': '3600' }, body: {} });
      const login = { body: { user_id: randomUUID() }, params: { header: { 'Idempotency-Key': 'x' } } };
      assert.equal((await connect(fake.url, 'key').POST('/api/v1/users/login', login)).response.status, 429);
      assert.equal(fake.requests.length, 2);
    } finally {
      await fake.close();
    }
  });

  it('makes one kind of exception of every refusal, also of one that is not ours', async () => {
    const { connect, ok } = await load();
    const room = { body: { name: 'A room' } };
    await assert.rejects(ok(connect(api.url, 'wrong').POST('/api/v1/rooms', room)), (error: Error) => {
      assert.match(error.message, /^INVALID_CREDENTIALS: /);
      assert.equal((error as Error & { status: number }).status, 401);
      return true;
    });
    const fake = await startHttpFake(() => ({ status: 502, body: '<h1>Bad gateway</h1>' }));
    try {
      await assert.rejects(ok(connect(fake.url).POST('/api/v1/clients', room)), { message: 'HTTP 502', status: 502 });
    } finally {
      await fake.close();
    }
  });
});
