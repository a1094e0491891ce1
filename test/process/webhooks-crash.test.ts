import assert from 'node:assert/strict';
import { randomBytes, randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { Database } from '#libs/database';
import { call, type Reply } from '../support/api.js';
import { ApiProcess } from '../support/api-process.js';
import { inParallel, until } from '../support/concurrency.js';
import { kills } from '../support/kills.js';
import { anOwnDatabase, type OwnDatabase } from '../support/own-database.js';
import { seeded } from '../support/random.js';
import { Receiver } from '../support/receiver.js';
import { startRedisServer } from '../support/redis-server.js';

const KILLS = 6;
const SENDERS = 4;
const RATE_LIMITS = { RATE_LIMIT_MESSAGES: 'off', RATE_LIMIT_DEFAULT: 'off', RATE_LIMIT_AUTHENTICATION: 'off' };

/** Servers on one database, a receiver that fails now and then, and senders that never give a message up. */
class Proof {
  private sending = true;
  private kills = 0;
  readonly acknowledged = new Set<string>();
  private key = '';
  private readonly rooms: string[] = [];

  constructor(
    private readonly servers: ApiProcess[],
    private readonly receiver: Receiver,
    private readonly database: Database,
    private readonly random: () => number,
  ) {}

  async prepare(): Promise<void> {
    await this.servers[0]!.start();
    await Promise.all(this.servers.slice(1).map((server) => server.start()));
    const post = async (path: string, body: object): Promise<Reply> => {
      const reply = await call(`${this.servers[0]!.url}/api/v1${path}`, 'POST', { key: this.key, body });
      assert.equal(reply.status, 201, reply.text);
      return reply;
    };
    this.key = (await post('/clients', { name: 'Crash' })).body.data.master_api_key;
    for (let i = 0; i < 5; i++) this.rooms.push((await post('/rooms', { name: `Room ${i}` })).body.data.id);
    await post('/webhooks', { url: this.receiver.url(), events: ['message.created'] });
    const ordered = { events: ['message.*'], ordered: true, room_ids: [this.rooms[0]] };
    await post('/webhooks', { url: this.receiver.url('/ordered'), ...ordered });
    this.receiver.answer = (_got, response) => response.writeHead(this.random() < 0.01 ? 500 : 200).end();
  }

  /** Sends until told to stop; a message without an answer is sent again under its own name. */
  async send(sender: number): Promise<void> {
    for (let n = 0; this.sending; n++) {
      const body = { room_id: this.rooms[n % 5], content: `${sender}/${n}`, client_message_id: `${sender}/${n}` };
      for (;;) {
        const { url } = this.servers[Math.floor(this.random() * this.servers.length)]!;
        const reply = await call(`${url}/api/v1/messages`, 'POST', { key: this.key, body }).catch(() => undefined);
        if (reply && reply.status < 300) {
          this.acknowledged.add(reply.body.data.id);
          break;
        }
        await delay(20);
      }
    }
  }

  private async crash(between: () => Promise<void>): Promise<void> {
    for (const kill of kills(KILLS)) {
      this.kills = kill + 1;
      await delay(50 + this.random() * 700);
      const server = this.servers[Math.floor(this.random() * this.servers.length)]!;
      await server.kill();
      await between();
      await server.start();
    }
    this.sending = false;
  }

  async settle(): Promise<void> {
    await until(
      'everything is delivered',
      async () => {
        await delay(200);
        const [row] = await this.database.query<{ n: number }>(
          `SELECT (SELECT count(*) FROM events WHERE relayed_at IS NULL)
             + (SELECT count(*) FROM deliveries WHERE next_attempt_at IS NOT NULL) AS n`,
        );
        return row!.n === 0;
      },
      120_000,
    );
  }

  async check(): Promise<string> {
    const stored = await this.database.query<{ id: string; content: string; room_id: string; seq: number }>(
      'SELECT id, content, room_id, seq FROM messages',
    );
    const messages = new Map(stored.map((row) => [row.id, row.content]));
    for (const id of this.acknowledged) assert.ok(messages.has(id), 'what was acknowledged is stored');
    let duplicates = 0;
    const ofRoom = stored.filter((row) => row.room_id === this.rooms[0]);
    for (const [path, expected] of [
      ['/hook', stored],
      ['/ordered', ofRoom],
    ] as const) {
      const names = new Map<string, string>();
      for (const { headers, body } of this.receiver.at(path)) {
        assert.equal(messages.get(body.data.id), body.data.content, 'no event without a committed change');
        const known = names.get(body.data.id);
        if (known !== undefined) {
          duplicates++;
          assert.equal(headers['webhook-id'], known, 'a duplicate carries the same webhook-id');
        }
        names.set(body.data.id, headers['webhook-id']!);
      }
      const missing = expected.filter((row) => !names.has(row.id));
      assert.deepEqual(missing, [], `every message is told at ${path}`);
      assert.equal(new Set(names.values()).size, names.size);
    }
    // First arrivals in the order of the room, whatever was sent again.
    const order = [...new Set(this.receiver.at('/ordered').map((one) => one.body.data.id as string))];
    const bySeq = [...ofRoom].sort((a, b) => a.seq - b.seq).map((row) => row.id);
    assert.deepEqual(order, bySeq, 'an ordered endpoint hears of its room in order');
    const [row] = await this.database.query<{ n: number }>(
      `SELECT count(*) AS n FROM deliveries WHERE status = 'sent'`,
    );
    assert.equal(row!.n, stored.length + ofRoom.length, 'one delivery per message and endpoint, each of them sent');
    return `${this.kills} kills, ${messages.size} messages, ${this.receiver.got.length} posts, ${duplicates} of them again`;
  }

  run(between: () => Promise<void>): Promise<unknown> {
    const senders = inParallel(Array.from({ length: SENDERS }), SENDERS, (_, sender) => this.send(sender));
    return Promise.all([senders, this.crash(between)]);
  }
}

describe('Webhooks while servers are killed at random', { concurrency: 2 }, () => {
  const cleanUps: (() => Promise<unknown> | void)[] = [];
  const encryption = randomBytes(32).toString('base64');
  let directory = '';
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'chatapi-crash-'));
  });
  after(async () => {
    for (const cleanUp of cleanUps.reverse()) await cleanUp();
    rmSync(directory, { recursive: true, force: true, maxRetries: 20 });
  });

  const prove = async (
    name: string,
    processes: number,
    env: Record<string, string>,
    between = async () => undefined as void,
  ): Promise<string> => {
    const seed = Number(process.env['SEED'] ?? randomInt(2 ** 31));
    const own: OwnDatabase = await anOwnDatabase();
    cleanUps.push(() => own.drop());
    const receiver = await Receiver.start();
    cleanUps.push(() => receiver.stop());
    const servers: ApiProcess[] = [];
    for (let i = 0; i < processes; i++) {
      const server = await ApiProcess.make({
        DATABASE_URL: own.url,
        DATA_DIR: join(directory, `${name}-${i}`),
        ENCRYPTION_KEY: encryption,
        EGRESS_ALLOWED_CIDRS: '127.0.0.0/8',
        WEBHOOK_RETRY_SCHEDULE: '1,1,1,1,1,1,1,1,1,1',
        ...RATE_LIMITS,
        ...env,
      });
      cleanUps.push(() => server.kill());
      servers.push(server);
    }
    const database = new Database(own.url, { max: 2, onError: () => undefined });
    cleanUps.push(() => database.close());
    const proof = new Proof(servers, receiver, database, seeded(seed));
    console.log(`${name}: seed ${seed}`);
    await proof.prepare();
    await proof.run(between);
    await proof.settle();
    return `${name}: seed ${seed}, ${await proof.check()}`;
  };

  it('tells every committed message, and nothing else: one process', async () => {
    console.log(await prove('one', 1, {}));
  });

  it('tells every committed message, and nothing else: two processes, Bull, and Redis flushed in between', async (t) => {
    const redis = await startRedisServer();
    if (!redis) return t.skip('redis-server is not installed');
    cleanUps.push(() => redis.stop());
    const client = new Redis(redis.url);
    cleanUps.push(() => void client.disconnect());
    console.log(await prove('two', 2, { REDIS_URL: redis.url }, async () => void (await client.flushall())));
  });
});
