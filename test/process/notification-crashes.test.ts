import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, it } from 'node:test';
import { Database } from '#libs/database';
import { call } from '../support/api.js';
import { ApiProcess } from '../support/api-process.js';
import { inParallel, until } from '../support/concurrency.js';
import { kills } from '../support/kills.js';
import { anOwnDatabase } from '../support/own-database.js';
import { seeded } from '../support/random.js';
import { SmtpSink, type SunkMail } from '../support/smtp-sink.js';

const KILLS = 10;
const PER_LIFE = 20;
/** Time of a mail's attempt and the margin of its lease: nobody holds a mail for longer. */
const LEASE_MS = 57_000;
/** What is left after the last kill may take this on a slow machine, even if a lease has to run out. */
const PATIENCE_MS = LEASE_MS + 90_000;

interface Asked {
  tenant: { id: string; key: string };
  idempotencyKey: string;
  address: string;
  id?: string;
}

/** Everything one run of killing has to do with. */
class Siege {
  readonly kills: number[] = [];
  readonly asked: Asked[] = [];
  private readonly random: () => number;
  private answers = 0;

  constructor(
    seed: number,
    readonly sink: SmtpSink,
    private readonly server: ApiProcess,
    private readonly sql: Database,
  ) {
    this.random = seeded(seed);
    // A server that takes its time, so that kills fall before, between and after the answers.
    sink.beforeAccept = () => delay(this.random() * 30);
  }

  /**
   * One life: what was not answered before is asked again, something new is asked, and the process is killed, now and
   * then while it starts, else at a random point of its work: so many answers and mails in, and a moment more.
   */
  async live(): Promise<void> {
    this.server.launch();
    if (this.random() < 0.05) {
      await delay(this.random() * 1_000);
      return this.kill();
    }
    await this.server.ready();
    const tenant = await this.register();
    const progressAt = this.progress + Math.floor(this.random() * 2 * PER_LIFE);
    const working = this.work(tenant);
    await until('the work gets so far', () => this.progress >= progressAt);
    await delay(this.random() * 15);
    await this.kill();
    await working;
  }

  /** The last life: everything is asked to its end and delivered, in peace. */
  async rest(): Promise<void> {
    await this.server.start();
    await this.ask(this.asked.filter((one) => !one.id));
    // Lives that ended while they started asked nothing: what is missing is asked now.
    while (this.asked.length < this.kills.length * PER_LIFE) await this.work(await this.register());
    assert(this.asked.every((one) => one.id));
  }

  async end(): Promise<void> {
    await this.server.stop();
  }

  /** The leases of the dead process last as long as they should and no longer; their time passes at once. */
  private async kill(): Promise<void> {
    await this.server.kill();
    this.kills.push(Date.now());
    const leases = await this.sql.query<{ ms: number }>(
      `UPDATE deliveries d SET next_attempt_at = now()
       FROM (SELECT client_id, id, next_attempt_at FROM deliveries WHERE stage = 'leased' FOR UPDATE) AS held
       WHERE d.client_id = held.client_id AND d.id = held.id
       RETURNING (extract(epoch FROM held.next_attempt_at - now()) * 1000)::float8 AS ms`,
    );
    for (const { ms } of leases) assert(ms <= LEASE_MS, `a killed process holds a mail for ${ms} ms`);
  }

  /** Answers and mails so far. */
  private get progress(): number {
    return this.answers + this.sink.mails.length;
  }

  private async register(): Promise<Asked['tenant']> {
    const reply = await this.post('/clients', undefined, { name: `Tenant ${randomUUID()}` });
    assert(reply, 'nobody has killed it yet');
    return { id: reply['id'] as string, key: reply['master_api_key'] as string };
  }

  private async work(tenant: Asked['tenant']): Promise<void> {
    const fresh = Array.from({ length: PER_LIFE }, () => ({
      tenant,
      idempotencyKey: randomUUID(),
      address: `${randomUUID()}@example.com`,
    }));
    const open = this.asked.filter((one) => !one.id);
    this.asked.push(...fresh);
    await this.ask([...open, ...fresh]);
  }

  private async ask(some: Asked[]): Promise<void> {
    await inParallel(some, 8, async (one) => {
      const body = { type: 'email', to_email: one.address, subject: 'Hello', content: '<p>Hello</p>' };
      const data = await this.post('/notifications', one.tenant.key, body, one.idempotencyKey);
      if (!data) return;
      one.id = data['id'] as string;
      this.answers++;
    });
  }

  /** What was created; undefined when the answer did not come. */
  private async post(path: string, key: string | undefined, body: object, idempotencyKey?: string) {
    const headers = idempotencyKey === undefined ? undefined : { 'idempotency-key': idempotencyKey };
    const reply = await call(`${this.server.url}/api/v1${path}`, 'POST', { key, body, headers }).catch(() => undefined);
    // Cut off in the middle, or asked again while the transaction of the dead process is being rolled back.
    if (!reply || reply.status === 503 || reply.status === 409) return undefined;
    assert.equal(reply.status, 201, reply.text);
    return reply.body.data as Record<string, unknown>;
  }
}

/**
 * Mails taken more than once, each with a kill between the first and the second: of how many the 250 was out before it,
 * and how many were whole at the mail server, which had not answered yet.
 */
function duplicates({ sink, kills }: Siege): { answered: number; taken: number } {
  const byAddress = new Map<string, SunkMail[]>();
  for (const mail of sink.mails) byAddress.set(mail.to[0]!, [...(byAddress.get(mail.to[0]!) ?? []), mail]);
  const counts = { answered: 0, taken: 0 };
  for (const [address, mails] of byAddress) {
    const ids = new Set(mails.map(({ raw }) => /^message-id: (\S+)/im.exec(raw)?.[1]));
    assert.equal(ids.size, 1, 'a mail sent again keeps its Message-ID');
    for (let i = 1; i < mails.length; i++) {
      const [first, second] = [mails[i - 1]!, mails[i]!];
      // A connection belongs to one life. What a dead process has written may be read after its death.
      const kill = kills.find((at) => at >= first.connectedAt && at <= second.connectedAt);
      assert(kill !== undefined, `${address} was sent again although no kill fell between`);
      counts[first.answeredAt !== undefined && first.answeredAt <= kill ? 'answered' : 'taken']++;
    }
  }
  return counts;
}

async function prove(redisUrl: string | undefined): Promise<void> {
  const seed = Number(process.env['CRASH_SEED'] ?? Date.now() % 1_000_000_000);
  console.log(`seed ${seed} (CRASH_SEED)`);
  const database = await anOwnDatabase();
  const dataDir = mkdtempSync(join(tmpdir(), 'chatapi-crashes-'));
  const sink = new SmtpSink();
  const env = {
    DATABASE_URL: database.url,
    DATA_DIR: dataDir,
    MAIL_URL: await sink.start(),
    RATE_LIMIT_NOTIFICATIONS: 'off',
    RATE_LIMIT_AUTHENTICATION: 'off',
    ...(redisUrl === undefined ? {} : { REDIS_URL: redisUrl }),
  };
  const sql = new Database(database.url, { max: 2, onError: () => undefined });
  const siege = new Siege(seed, sink, await ApiProcess.make(env), sql);
  try {
    for (const kill of kills(KILLS)) {
      assert.equal(siege.kills.length, kill);
      await siege.live();
    }
    await siege.rest();
    const restedAt = Date.now();
    const unfinished = async () =>
      (await sql.query<{ n: number }>(`SELECT count(*) AS n FROM notifications WHERE finished_at IS NULL`))[0]!.n;
    await until('everything is at its end', async () => (await unfinished()) === 0, PATIENCE_MS);
    const settledMs = Date.now() - restedAt;
    const rows = await sql.query<{ status: string; n: number }>(
      'SELECT status, count(*) AS n FROM notifications GROUP BY status',
    );
    assert.deepEqual(rows, [{ status: 'sent', n: siege.asked.length }], 'none is lost, and none was made twice');
    const reached = new Set(sink.mails.map(({ to }) => to[0]));
    assert(siege.asked.every(({ address }) => reached.has(address)));
    assert.equal(reached.size, siege.asked.length);
    const [counts] = await sql.query<{ sent: number; pending: number }>(
      'SELECT sum(recipients_sent)::bigint AS sent, sum(recipients_pending)::bigint AS pending FROM notifications',
    );
    assert.deepEqual(counts, { sent: siege.asked.length, pending: 0 });
    const recorded = await sql.query<{ attempts: number; n: number }>(
      `SELECT attempts, count(*) AS n FROM (
         SELECT count(*) FILTER (WHERE status = 'sent') AS attempts FROM delivery_attempts GROUP BY client_id, delivery_id
       ) AS each GROUP BY attempts`,
    );
    assert.deepEqual(recorded, [{ attempts: 1, n: siege.asked.length }], 'what was recorded as sent is not sent again');
    const { answered, taken } = duplicates(siege);
    console.log(
      `${siege.kills.length} kills, ${siege.asked.length} notifications: 0 lost; sent a second time: ${answered} killed ` +
        `between the 250 and the commit, ${taken} between the end of the mail and its 250; the last at its end ` +
        `${settledMs} ms after the last start`,
    );
    await siege.end();
  } finally {
    await siege.end().catch(() => undefined);
    await sql.close();
    await sink.stop();
    await database.drop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

describe('kill -9 while notifications go out', { concurrency: true }, () => {
  it('loses none, with the in-process engine', () => prove(undefined));

  const redisUrl = process.env['TEST_REDIS_URL'];
  it('loses none, with Bull and Redis', { skip: redisUrl ? false : 'redis-server is not installed' }, () =>
    prove(redisUrl),
  );
});
