import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Database } from '#libs/database';
import { call, testDatabaseUrl } from '../support/api.js';
import { ApiProcess } from '../support/api-process.js';
import { until } from '../support/concurrency.js';
import { databaseState, differences } from '../support/model-room.js';
import { startRedisServer, type RedisServer } from '../support/redis-server.js';
import { RoamingClient } from '../support/roaming-client.js';
import { aSocket, closeSockets, connect, WAYS } from '../support/sockets.js';

const LIMIT = 4;
const WRITERS = 3;
/** SPEC: nobody who is gone is shown as online for longer. */
const GHOST_MS = 60_000;
const skip = process.env['TEST_REDIS_URL'] ? false : 'redis-server is not installed';

interface Person {
  id: string;
  key: string;
}

describe('Three processes, one PostgreSQL, one Redis', { skip }, () => {
  const database = new Database(testDatabaseUrl(), { onError: () => undefined });
  const processes: ApiProcess[] = [];
  const directory = mkdtempSync(join(tmpdir(), 'chatapi-several-'));
  let redis: RedisServer;
  afterEach(closeSockets);
  after(async () => {
    await Promise.all(processes.map((one) => one.stop()));
    await redis?.stop();
    await database.close();
    rmSync(directory, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
  });

  async function ask(url: string, key: string | undefined, method: string, path: string, body?: object) {
    const reply = await call(`${url}/api/v1${path}`, method, { key, body });
    assert.ok(reply.status < 300, reply.text);
    return reply.body?.data;
  }

  /** Sends until told to stop, by whichever process answers; a message is sent again until one has stored it. */
  async function write(person: Person, roomId: string, going: () => boolean): Promise<number> {
    let count = 0;
    for (; going(); count++) {
      const body = { room_id: roomId, content: `message ${count}`, client_message_id: randomUUID() };
      for (let attempt = 0; ; attempt++) {
        const { url } = processes[(count + attempt) % processes.length]!;
        const sent = await call(`${url}/api/v1/messages`, 'POST', { key: person.key, body }).catch(() => undefined);
        if (sent && sent.status < 300) {
          if (count % 5 === 0)
            await ask(url, person.key, 'PUT', `/messages/${sent.body.data.id}`, { content: 'edited' }).catch(
              () => undefined,
            );
          if (count % 7 === 0)
            await ask(url, person.key, 'DELETE', `/messages/${sent.body.data.id}`).catch(() => undefined);
          break;
        }
        assert.ok(!sent || sent.status >= 500, sent?.text);
        await delay(20);
      }
      await delay(10);
    }
    return count;
  }

  it(
    'loses nothing when a process is killed and Redis restarts while messages flow',
    { timeout: 170_000 },
    async () => {
      redis = (await startRedisServer())!;
      const off = {
        RATE_LIMIT_AUTHENTICATION: 'off',
        RATE_LIMIT_MESSAGES: 'off',
        RATE_LIMIT_DEFAULT: 'off',
        JOBS: 'off',
      };
      const env = {
        ...off,
        DATABASE_URL: testDatabaseUrl(),
        REDIS_URL: redis.url,
        ENCRYPTION_KEY: randomBytes(32).toString('base64'),
        WS_MAX_CONNECTIONS_PER_PRINCIPAL: `${LIMIT}`,
      };
      for (const name of ['1', '2', '3'])
        processes.push(await ApiProcess.make({ ...env, DATA_DIR: join(directory, name) }));
      await Promise.all(processes.map((one) => one.start()));
      const urls = processes.map(({ url }) => url);
      const client = await ask(urls[0]!, undefined, 'POST', '/clients', { name: `Tenant ${randomUUID()}` });
      const person = async (): Promise<Person> => {
        const username = `u-${randomUUID()}`;
        const body = { email: `${username}@example.com`, username };
        const made = await ask(urls[0]!, client.master_api_key, 'POST', '/users', body);
        return { id: made.id, key: made.scoped_api_key };
      };
      const people: Person[] = [];
      for (let index = 0; index < 3 + WAYS.length * 3; index++) people.push(await person());
      const [owner, ghost, limited, ...listeners] = people as [Person, Person, Person, ...Person[]];
      const member_ids = people.slice(1).map(({ id }) => id);
      const room = await ask(urls[0]!, owner.key, 'POST', '/rooms', { name: 'Shared', member_ids });

      const clients = listeners.map(
        (one, index) => new RoamingClient(urls[index % 3]!, WAYS[Math.floor(index / 3)]!, one, room.id),
      );
      const watcher = await aSocket(urls[0]!, 'websocket', owner.key);
      await aSocket(urls[2]!, 'socketio', ghost.key);
      await watcher.frame('presence', (frame) => frame.data.user_id === ghost.id && frame.data.status === 'online');
      await until('everybody listens', () => clients.every((one) => one.reconnects === 0));
      let going = true;
      const writers = Array.from({ length: WRITERS }, () => write(owner, room.id, () => going));
      const isOnline = async (url: string) =>
        (await ask(url, owner.key, 'GET', `/rooms/${room.id}/online`)).online_users.includes(ghost.id);
      await delay(2_000);
      assert.ok(await isOnline(urls[1]!));

      await processes[2]!.kill();
      const killedAt = Date.now();
      await delay(1_000);
      await processes[2]!.start();
      // The ghost does not come back, and nobody shows it as online for long.
      const gone = async (): Promise<boolean> => !(await isOnline(urls[0]!)) && !(await isOnline(urls[2]!));
      await until('the ghost is gone', async () => (await delay(100), await gone()), GHOST_MS);
      const isOffline = () =>
        watcher.frames.some((f) => f.type === 'presence' && f.data.user_id === ghost.id && f.data.status === 'offline');
      await until('the others are told so', isOffline, GHOST_MS - (Date.now() - killedAt));

      await redis.stop();
      await delay(2_500);
      redis = (await startRedisServer(Number(new URL(redis.url).port)))!;
      await delay(2_500);
      going = false;
      const written = (await Promise.all(writers)).reduce((sum, one) => sum + one, 0);

      const want = await databaseState(database, client.id, room.id);
      for (const one of clients) {
        const same = (): boolean => differences(one.replica.state, want).length === 0;
        await until('it has everything', same).catch(() =>
          assert.fail(differences(one.replica.state, want).slice(0, 5).join('\n')),
        );
        assert.equal(new Set(one.history).size, one.history.length, 'nothing twice');
        await one.stop();
      }
      assert.ok(written > 100, `${written} messages`);
      const back = clients.filter((_, index) => index % 3 === 2);
      assert.ok(
        back.every((one) => one.reconnects >= 1),
        'those of the killed process came back to it',
      );

      // Shared again after Redis has forgotten everything: four over three processes, and no fifth anywhere.
      for (let index = 0; index < LIMIT; index++) await aSocket(urls[index % 3]!, 'websocket', limited.key);
      for (const url of urls)
        assert.deepEqual(await connect(url, 'websocket', { token: limited.key }).ended(), { code: 4004 });
    },
  );
});
