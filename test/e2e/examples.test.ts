import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { startApi, type TestApi } from '../support/api.js';

interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs bash in the repository's root; what it prints is kept. */
async function bash(args: string[], base: string): Promise<Finished> {
  const child = spawn('bash', args, { env: { ...process.env, BASE: base }, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const code = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  return { code, stdout, stderr };
}

/** The bash blocks of a guide, in order, for the server at `base`; a call that is refused ends them. */
function guideBlocks(file: string, base: string): string[] {
  const guide = readFileSync(file, 'utf8').replaceAll('http://localhost:8000', base);
  const blocks = [...guide.matchAll(/```bash\n([\s\S]*?)```/g)].map((match) => match[1]!);
  return ['curl() { command curl -sS --fail-with-body "$@"; }', ...blocks];
}

/** The bash blocks of the README's tour, in order. */
function tourBlocks(): string[] {
  const readme = readFileSync('README.md', 'utf8');
  return [...readme.matchAll(/<!-- tour -->\s*```bash\n([\s\S]*?)```/g)].map((match) => match[1]!);
}

describe('What the documentation shows', () => {
  let api: TestApi;
  before(async () => {
    api = await startApi();
  });
  after(() => api.stop());

  it('examples/first-chat.sh goes through', async () => {
    const { code, stdout, stderr } = await bash(['examples/first-chat.sh'], api.url);
    assert.equal(code, 0, stderr);
    for (const step of ['Registered client', 'Created user', 'Created room', 'Sent message', 'Read it back', 'Done']) {
      assert(stdout.includes(step), `${step} in:\n${stdout}`);
    }
  });

  it('examples/first-chat.sh fails loudly and shows no key when a call fails', async () => {
    const { code, stderr } = await bash(['examples/first-chat.sh'], `${api.url}/nowhere`);
    assert.notEqual(code, 0);
    assert.match(stderr, /The call failed[\s\S]*RESOURCE_NOT_FOUND/);
    assert.doesNotMatch(stderr, /(ck_live|sk_user)_[0-9A-Za-z]{8}_/);
  });

  it("the README's tour runs as it stands", async () => {
    const blocks = tourBlocks();
    assert(blocks.length >= 4, 'the tour is marked in the README');
    const { code, stdout, stderr } = await bash(['-euo', 'pipefail', '-c', blocks.join('\n')], api.url);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^ck_live_[0-9A-Za-z_]{52}$/m);
    assert.match(stdout, /^sk_user_[0-9A-Za-z_]{52}$/m);
    const listed = JSON.parse(stdout.slice(stdout.lastIndexOf('{"data":['))) as {
      data: { content: string; sender_name: string }[];
      pagination: { total: number };
    };
    assert.equal(listed.pagination.total, 1);
    assert.equal(listed.data[0]!.content, 'Hello, everyone!');
    assert.equal(listed.data[0]!.sender_name, 'John Doe');
  });

  for (const [file, count] of [
    ['docs/authentication.md', 5],
    ['docs/rooms-and-messages.md', 2],
  ] as const) {
    it(`${file} goes on where the tour ends`, async () => {
      const blocks = guideBlocks(file, api.url);
      assert.equal(blocks.length, count + 1);
      const script = [...tourBlocks(), ...blocks].join('\necho\n');
      const { code, stdout, stderr } = await bash(['-euo', 'pipefail', '-c', script], api.url);
      assert.equal(code, 0, `${stderr}\n${stdout}`);
    });
  }
});
