import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, it } from 'node:test';
import {
  aMessage,
  aRoom,
  aTenant,
  aUser,
  startApi,
  type TestApi,
  type TestTenant,
  type TestUser,
} from '../../support/api.js';
import { aSocket, closeSockets } from '../../support/sockets.js';

const EXAMPLES = [
  { program: process.execPath, file: 'examples/realtime/socketio.mjs', hello: 'Hello over Socket.IO' },
  { program: process.execPath, file: 'examples/realtime/websocket.mjs', hello: 'Hello over WebSocket' },
  { program: 'python3', file: 'examples/realtime/websocket.py', hello: 'Hello over Python' },
];

/** Runs a program, in the repository's root unless told where; fails the test when it fails. */
async function run(program: string, args: string[], env: Record<string, string>, cwd = '.'): Promise<string> {
  const child = spawn(program, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 30_000,
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const code = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  assert.equal(code, 0, stdout + stderr);
  return stdout;
}

describe('The examples of docs/realtime.md', () => {
  let api: TestApi;
  let tenant: TestTenant;
  let anna: TestUser;
  let ben: TestUser;
  let room: string;
  const directory = mkdtempSync(join(tmpdir(), 'chatapi-examples-'));
  before(async () => {
    api = await startApi();
    tenant = await aTenant(api);
    [anna, ben] = [await aUser(tenant), await aUser(tenant)];
    room = await aRoom(tenant, anna, { member_ids: [ben.id] });
  });
  after(async () => {
    closeSockets();
    await api.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  for (const { program, file, hello } of EXAMPLES) {
    it(`${file} follows a room, and the second time prints what it missed; then another room`, async () => {
      const start = (roomId: string) =>
        run(program, [resolve(file)], { BASE: api.url, USER_KEY: anna.key, ROOM_ID: roomId }, directory);
      assert.match(await start(room), new RegExp(`message ${hello}\n$`));
      const missed = await aMessage(tenant, ben, room, 'missed');
      const again = (await start(room)).trim().split('\n');
      const other = await aRoom(tenant, anna);
      assert.match(await start(other), new RegExp(`message ${hello}\n$`));
      assert.deepEqual(again, [`${missed.seq} message missed`, `${missed.seq + 1} message ${hello}`]);
      const listener = await aSocket(api.url, 'websocket', ben.key);
      assert.equal(listener.frames[0]!.data.rooms[0].seq, missed.seq + 1);
    });
  }

  it('the curl blocks of docs/realtime.md run as they stand', async () => {
    const guide = readFileSync('docs/realtime.md', 'utf8');
    const blocks = [...guide.matchAll(/<!-- run -->\s*```bash\n([\s\S]*?)```/g)].map((match) => match[1]!);
    assert.ok(blocks.length >= 2);
    const out = await run('bash', ['-euo', 'pipefail', '-c', blocks.join('\n')], {
      BASE: api.url,
      USER_KEY: anna.key,
      ROOM_ID: room,
    });
    assert.match(out, /"ticket":/);
    assert.match(out, /HTTP\/1\.1 101 Switching Protocols[\s\S]*connection_status/);
  });
});
