import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { redisOptions } from './redis-broker.js';
import {
  LocalState,
  totalOf,
  type Admittance,
  type SharedState,
  type SocketLimits,
  type StateListener,
} from './shared-state.js';
import type { Timings } from './timings.js';

const PREFIX = 'chatapi:sockets';
const PROCESSES = `${PREFIX}:processes`;
/** How long it is remembered that a process was taken for dead. */
const BURIED_SECONDS = 86_400;

// Redis' own clock, so that processes whose clocks differ agree on who is alive.
const NOW = `local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000)`;
const ALIVE = `${NOW} local pids = redis.call('ZRANGEBYSCORE', '${PROCESSES}', now - tonumber(ARGV[1]), '+inf')`;

// ARGV: dead-after, pid, total field, principal field, per client, per principal.
const ADMIT = `${ALIVE}
local c, p = 0, 0
for _, pid in ipairs(pids) do
  local counts = redis.call('HMGET', '${PREFIX}:counts:' .. pid, ARGV[3], ARGV[4])
  c = c + tonumber(counts[1] or 0)
  p = p + tonumber(counts[2] or 0)
end
if c >= tonumber(ARGV[5]) then return 1 end
if p >= tonumber(ARGV[6]) then return 2 end
redis.call('HINCRBY', '${PREFIX}:counts:' .. ARGV[2], ARGV[3], 1)
redis.call('HINCRBY', '${PREFIX}:counts:' .. ARGV[2], ARGV[4], 1)
return 0`;

// ARGV: dead-after, pid, client, user, 1 to arrive or 0 to depart. Answers whether the user is in no other process.
const PRESENCE = `${ALIVE}
local own = '${PREFIX}:online:' .. ARGV[2] .. ':' .. ARGV[3]
if ARGV[5] == '1' then
  redis.call('SADD', own, ARGV[4])
  redis.call('SADD', '${PREFIX}:clients:' .. ARGV[2], ARGV[3])
else redis.call('SREM', own, ARGV[4]) end
for _, pid in ipairs(pids) do
  if pid ~= ARGV[2] and redis.call('SISMEMBER', '${PREFIX}:online:' .. pid .. ':' .. ARGV[3], ARGV[4]) == 1 then return 0 end
end
return 1`;

// ARGV: dead-after, client.
const ONLINE = `${ALIVE}
local keys = {}
for i, pid in ipairs(pids) do keys[i] = '${PREFIX}:online:' .. pid .. ':' .. ARGV[2] end
if #keys == 0 then return {} end
return redis.call('SUNION', unpack(keys))`;

// ARGV: dead-after. Takes one dead process off the list, so that one survivor alone buries it.
const BURY = `${NOW}
local dead = redis.call('ZRANGEBYSCORE', '${PROCESSES}', '-inf', now - tonumber(ARGV[1]), 'LIMIT', 0, 1)
if #dead == 0 then return false end
redis.call('ZREM', '${PROCESSES}', dead[1])
redis.call('DEL', '${PREFIX}:counts:' .. dead[1])
redis.call('SET', '${PREFIX}:buried:' .. dead[1], 1, 'EX', ${BURIED_SECONDS})
return dead[1]`;

// ARGV: pid, milliseconds the beat is set back. Answers 0 when the process was known, 1 when not, 2 when it was buried alive.
const BEAT = `${NOW}
if redis.call('ZADD', '${PROCESSES}', now - tonumber(ARGV[2]), ARGV[1]) == 0 then return 0 end
return 1 + redis.call('DEL', '${PREFIX}:buried:' .. ARGV[1])`;

type Script = (...args: (string | number)[]) => Promise<unknown>;

/**
 * Counts and presence in Redis, each process writing its own part under a heartbeat: what a dead one held is not
 * counted after a few seconds. While Redis does not answer, this process goes by what it knows itself.
 */
export class RedisState implements SharedState {
  private readonly pid = randomUUID();
  private readonly local: LocalState;
  private readonly redis: Redis;
  private timer: NodeJS.Timeout | undefined;
  private known = false;
  /** Tenants of which Redis may hold that users of this process are online; all that ever had one. */
  private readonly announced = new Set<string>();
  private readonly listeners: StateListener[] = [];

  constructor(
    url: string,
    private readonly limits: SocketLimits,
    private readonly timings: Timings,
  ) {
    this.local = new LocalState(limits);
    this.redis = new Redis(url, { ...redisOptions(), lazyConnect: true, commandTimeout: 1_000 });
    this.redis.on('error', () => undefined);
    this.redis.on('ready', () => void this.resume());
    const scripts = { admit: ADMIT, presence: PRESENCE, online: ONLINE, bury: BURY, beat: BEAT };
    for (const [name, lua] of Object.entries(scripts)) this.redis.defineCommand(name, { lua, numberOfKeys: 0 });
  }

  async start(): Promise<void> {
    await this.redis.connect().catch(() => undefined);
    await this.beat();
    this.timer = setInterval(() => void this.beat().then(() => this.bury()), this.timings.heartbeatMs).unref();
  }

  /** The users stay online for the grace; a survivor then sees that they have not come back. */
  async stop(): Promise<void> {
    clearInterval(this.timer);
    const { deadAfterMs, offlineGraceMs } = this.timings;
    await this.run('beat', this.pid, deadAfterMs - offlineGraceMs).catch(() => undefined);
    await this.redis.del(`${PREFIX}:counts:${this.pid}`).catch(() => undefined);
    this.redis.disconnect();
  }

  async admit(clientId: string, principalId: string): Promise<Admittance> {
    const { perClient, perPrincipal } = this.limits;
    let verdict: unknown;
    try {
      verdict = await this.scoped('admit', this.pid, totalOf(clientId), principalId, perClient, perPrincipal);
    } catch {
      return this.local.admit(clientId, principalId);
    }
    if (verdict === 1) return 'client_full';
    if (verdict === 2) return 'principal_full';
    this.local.add(clientId, principalId, 1);
    return 'admitted';
  }

  release(clientId: string, principalId: string): void {
    this.local.release(clientId, principalId);
    for (const field of [totalOf(clientId), principalId]) {
      this.redis.hincrby(`${PREFIX}:counts:${this.pid}`, field, -1).catch(() => undefined);
    }
  }

  async arrive(clientId: string, userId: string): Promise<boolean> {
    this.announced.add(clientId);
    const first = await this.local.arrive(clientId, userId);
    return this.scoped('presence', this.pid, clientId, userId, 1).then(
      (alone) => first && alone === 1,
      () => first,
    );
  }

  async depart(clientId: string, userId: string): Promise<boolean> {
    const last = await this.local.depart(clientId, userId);
    return this.scoped('presence', this.pid, clientId, userId, 0).then(
      (alone) => last && alone === 1,
      () => last,
    );
  }

  async online(clientId: string): Promise<ReadonlySet<string>> {
    const here = await this.local.online(clientId);
    try {
      return new Set([...((await this.scoped('online', clientId)) as string[]), ...here]);
    } catch {
      return here;
    }
  }

  listen(listener: StateListener): void {
    this.listeners.push(listener);
  }

  /** What happened while Redis could not be reached is not in it: not in its counts, and not in what others were told. */
  private async resume(): Promise<void> {
    // At once: of what is sent from now on nothing may come before it.
    const registered = this.register().catch(() => undefined);
    if (this.known) for (const listener of this.listeners) listener.forgotten();
    await registered;
    await this.beat();
  }

  /** Says that this process lives; to a Redis that does not know it, also what it holds. */
  private async beat(): Promise<void> {
    try {
      const verdict = await this.run('beat', this.pid, 0);
      if (verdict === 0) return;
      await this.register();
      if (verdict === 2) for (const [clientId, users] of this.local.users) this.revived(clientId, [...users]);
      else if (this.known) for (const listener of this.listeners) listener.forgotten();
      this.known = true;
    } catch {
      // The next beat, or the next connection, tries again.
    }
  }

  private async register(): Promise<void> {
    const counts = `${PREFIX}:counts:${this.pid}`;
    const batch = this.redis.multi().del(counts);
    for (const [field, count] of this.local.counts) batch.hset(counts, field, count);
    for (const clientId of this.announced) {
      const users = this.local.users.get(clientId);
      const key = `${PREFIX}:online:${this.pid}:${clientId}`;
      batch.del(key);
      if (users) batch.sadd(`${PREFIX}:clients:${this.pid}`, clientId).sadd(key, ...users);
    }
    await batch.exec();
  }

  /** Tells who has gone with a dead process. */
  private async bury(): Promise<void> {
    try {
      const pid = (await this.scoped('bury')) as string | null;
      if (!pid) return;
      for (const clientId of await this.redis.smembers(`${PREFIX}:clients:${pid}`)) {
        const key = `${PREFIX}:online:${pid}:${clientId}`;
        const users = await this.redis.smembers(key);
        await this.redis.del(key);
        const online = await this.online(clientId);
        const gone = users.filter((user) => !online.has(user));
        if (gone.length > 0) for (const listener of this.listeners) listener.abandoned(clientId, gone);
      }
      await this.redis.del(`${PREFIX}:clients:${pid}`);
      await this.bury();
    } catch {
      // Redis went away meanwhile: whoever is told offline late is offline all the same.
    }
  }

  private revived(clientId: string, userIds: string[]): void {
    for (const listener of this.listeners) listener.revived(clientId, userIds);
  }

  private scoped(script: string, ...args: (string | number)[]): Promise<unknown> {
    return this.run(script, this.timings.deadAfterMs, ...args);
  }

  private run(script: string, ...args: (string | number)[]): Promise<unknown> {
    return (this.redis as unknown as Record<string, Script>)[script]!(...args);
  }
}
