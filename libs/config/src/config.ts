import { existsSync } from 'node:fs';
import { isIP } from 'node:net';

/** A fixed-window limit: `points` per `seconds`; null switches the family off. */
export type RateLimit = { points: number; seconds: number } | null;

/** The whole configuration, read once at start and frozen. */
export interface Config {
  readonly port: number;
  readonly host: string;
  readonly publicUrl: string;
  /** Where a worker serves health and metrics; undefined: nowhere. */
  readonly workerPort: number | undefined;
  readonly dataDir: string;
  /** undefined: the embedded PostgreSQL in `dataDir`. */
  readonly databaseUrl: string | undefined;
  readonly redisUrl: string | undefined;
  readonly production: boolean;
  /** 32-byte keys, first one encrypts; empty: generated in `dataDir`. */
  readonly encryptionKeys: readonly Buffer[];
  readonly registrationToken: string | undefined;
  readonly userKeyTtlSeconds: number;
  readonly corsOrigins: readonly string[];
  /** Everyone, nobody, or addresses and networks. */
  readonly trustProxy: boolean | readonly string[];
  readonly logLevel: string;
  readonly rateLimits: Readonly<Record<'authentication' | 'messages' | 'notifications' | 'default', RateLimit>>;
  readonly jobs: boolean;
  readonly sockets: Readonly<{ perPrincipal: number; perClient: number }>;
  /** Seconds between attempts; one attempt more than entries. */
  readonly webhookRetrySeconds: readonly number[];
  readonly notificationRetrySeconds: readonly number[];
  /** The server's own mail server (smtp:// or smtps://), for clients without a provider. */
  readonly mailUrl: string | undefined;
  /** Networks a tenant's targets may lie in although they are not public. */
  readonly egressAllowedCidrs: readonly string[];
}

/** Thrown with every fault of the environment at once. */
export class ConfigError extends Error {
  constructor(readonly faults: string[]) {
    super(`Configuration is not usable:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
  }
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];
const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86400 };

function isCidr(text: string): boolean {
  const [address, bits, ...rest] = text.split('/');
  const version = isIP(address ?? '');
  if (version === 0 || rest.length > 0 || bits === undefined || !/^\d{1,3}$/.test(bits)) return false;
  return Number(bits) <= (version === 4 ? 32 : 128);
}

/** Characters to add, drop, replace or swap with their neighbour until one is the other. */
function slipsBetween(one: string, other: string): number {
  let [before, last] = [[] as number[], Array.from({ length: other.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= one.length; i++) {
    const row = [i];
    for (let j = 1; j <= other.length; j++) {
      row[j] = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (one[i - 1] === other[j - 1] ? 0 : 1));
      const swapped = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
      if (swapped) row[j] = Math.min(row[j]!, before[j - 2]! + 1);
    }
    [before, last] = [last, row];
  }
  return last[other.length]!;
}

type Env = Record<string, string | undefined>;

/** Variables that begin so are ours: one we do not know is a misspelt one. */
const OUR_PREFIXES = /^(RATE_LIMIT|WS|WEBHOOK|NOTIFICATION|MAIL|EGRESS|USER_KEY|CORS)_/;
/** Shorter names are a slip away from too many that mean something else. */
const LONG_ENOUGH_FOR_A_SLIP = 8;
/** What Kubernetes and Docker links add for a service that happens to be called so. */
const SERVICE_LINK = /_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP)(_\w+)?)?|NAME)$/;

class Reader {
  readonly faults: string[] = [];
  private readonly read = new Set<string>();

  constructor(private readonly env: Env) {}

  /**
   * Adds a fault for every variable that was meant for us and would do nothing: it begins like ours, or is one slip away
   * from one of ours that is not set. All others are somebody else's.
   */
  refuseUnknown(): void {
    for (const name of Object.keys(this.env)) {
      if (this.read.has(name) || SERVICE_LINK.test(name)) continue;
      const prefix = OUR_PREFIXES.exec(name)?.[0];
      const [nearest, slips] = this.nearest(name, prefix ?? '');
      const isSlip = slips <= 1 && name.length >= LONG_ENOUGH_FOR_A_SLIP && this.text(nearest) === undefined;
      if (prefix !== undefined || isSlip) {
        this.faults.push(`${name} is not a variable of ChatAPI (did you mean ${nearest}?)`);
      }
    }
  }

  /** The variable of ours with that prefix which is the fewest slips away, and how many. */
  private nearest(name: string, prefix: string): [string, number] {
    return [...this.read]
      .filter((known) => known.startsWith(prefix))
      .map((known): [string, number] => [known, slipsBetween(known, name.toUpperCase())])
      .reduce((best, one) => (one[1] < best[1] ? one : best));
  }

  text(name: string): string | undefined {
    this.read.add(name);
    const value = this.env[name]?.trim();
    return value ? value : undefined;
  }

  integer(name: string, fallback: number, min: number, max: number): number {
    const value = this.text(name);
    if (value === undefined) return fallback;
    const number = Number(value);
    if (Number.isInteger(number) && number >= min && number <= max) return number;
    this.faults.push(`${name} must be a whole number from ${min} to ${max}`);
    return fallback;
  }

  oneOf(name: string, fallback: string, allowed: string[]): string {
    const value = this.text(name) ?? fallback;
    if (!allowed.includes(value)) this.faults.push(`${name} must be one of ${allowed.join(', ')}`);
    return value;
  }

  url(name: string, protocols: string[]): string | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    // A unix-socket URL of pg has an empty host, which URL refuses for postgresql: only with credentials.
    const probe = value.replace(/^(\w+:\/\/[^/]*@)\//, '$1localhost/');
    if (!URL.canParse(probe) || !protocols.includes(new URL(probe).protocol)) {
      this.faults.push(`${name} must be a URL starting with ${protocols.map((p) => `${p}//`).join(' or ')}`);
    }
    return value;
  }

  limit(name: string, fallback: { points: number; seconds: number }): RateLimit {
    const value = this.text(name);
    if (value === undefined) return fallback;
    if (value === 'off') return null;
    const match = /^(\d{1,9})\/(\d{1,7})$/.exec(value);
    if (match && Number(match[1]) > 0 && Number(match[2]) > 0) {
      return { points: Number(match[1]), seconds: Number(match[2]) };
    }
    this.faults.push(`${name} must be count/seconds (as in 100/3600) or off`);
    return fallback;
  }

  duration(name: string, fallbackSeconds: number): number {
    const value = this.text(name);
    if (value === undefined) return fallbackSeconds;
    const match = /^(\d{1,6})([smhd])$/.exec(value);
    if (match && Number(match[1]) > 0) return Number(match[1]) * UNITS[match[2]!]!;
    this.faults.push(`${name} must be a number with s, m, h or d (as in 7d)`);
    return fallbackSeconds;
  }

  seconds(name: string, fallback: number[]): readonly number[] {
    const value = this.text(name);
    if (value === undefined) return Object.freeze(fallback);
    const steps = value.split(',').map((part) => part.trim());
    if (steps.length <= 20 && steps.every((step) => /^\d{1,7}$/.test(step))) return Object.freeze(steps.map(Number));
    this.faults.push(`${name} must be 1 to 20 whole numbers of seconds, as in 5,300,1800`);
    return fallback;
  }

  cidrs(name: string): readonly string[] {
    const value = this.text(name);
    if (value === undefined) return [];
    const networks = value.split(',').map((part) => part.trim());
    if (!networks.every(isCidr)) this.faults.push(`${name} must be networks, as in 10.0.0.0/8,fd00::/8`);
    return Object.freeze(networks);
  }

  keys(name: string, production: boolean): Buffer[] {
    const value = this.text(name);
    if (value === undefined) {
      if (production) this.faults.push(`${name} is required when NODE_ENV=production (32 bytes, base64)`);
      return [];
    }
    const keys = value.split(',').map((part) => Buffer.from(part.trim(), 'base64'));
    if (keys.some((key) => key.length !== 32))
      this.faults.push(`${name} must be 32 bytes in base64, or a comma list of such`);
    return keys;
  }

  trustProxy(name: string): boolean | readonly string[] {
    const value = this.text(name);
    if (value === undefined || value === 'false') return false;
    if (value === 'true') return true;
    const proxies = value.split(',').map((part) => part.trim());
    if (!proxies.every((proxy) => isIP(proxy) !== 0 || isCidr(proxy)))
      this.faults.push(`${name} must be true, false, or addresses and networks, as in 10.0.0.1,fd00::/8`);
    return Object.freeze(proxies);
  }
}

/** Reads and checks the environment; throws a {@link ConfigError} that names every fault. */
export function readConfig(env: Env): Config {
  const read = new Reader(env);
  const nodeEnv = read.oneOf('NODE_ENV', 'development', ['development', 'production', 'test']);
  const production = nodeEnv === 'production';
  const port = read.integer('PORT', 8000, 0, 65535);
  const config: Config = {
    port,
    workerPort: read.text('WORKER_PORT') === undefined ? undefined : read.integer('WORKER_PORT', 0, 0, 65535),
    host: read.text('HOST') ?? '0.0.0.0',
    publicUrl: read.url('PUBLIC_URL', ['http:', 'https:']) ?? `http://localhost:${port}`,
    dataDir: read.text('DATA_DIR') ?? './data',
    databaseUrl: read.url('DATABASE_URL', ['postgres:', 'postgresql:']),
    redisUrl: read.url('REDIS_URL', ['redis:', 'rediss:']),
    production,
    encryptionKeys: read.keys('ENCRYPTION_KEY', production),
    registrationToken: read.text('REGISTRATION_TOKEN'),
    userKeyTtlSeconds: read.duration('USER_KEY_TTL', 7 * 86400),
    corsOrigins: (read.text('CORS_ORIGINS') ?? '')
      .split(',')
      .map((o) => o.trim())
      .filter(Boolean),
    trustProxy: read.trustProxy('TRUST_PROXY'),
    logLevel: read.oneOf('LOG_LEVEL', 'info', LOG_LEVELS),
    rateLimits: Object.freeze({
      authentication: read.limit('RATE_LIMIT_AUTHENTICATION', { points: 100, seconds: 3600 }),
      messages: read.limit('RATE_LIMIT_MESSAGES', { points: 1000, seconds: 3600 }),
      notifications: read.limit('RATE_LIMIT_NOTIFICATIONS', { points: 500, seconds: 3600 }),
      default: read.limit('RATE_LIMIT_DEFAULT', { points: 10_000, seconds: 3600 }),
    }),
    jobs: read.oneOf('JOBS', 'on', ['on', 'off']) === 'on',
    sockets: Object.freeze({
      perPrincipal: read.integer('WS_MAX_CONNECTIONS_PER_PRINCIPAL', 10, 1, 1_000_000),
      perClient: read.integer('WS_MAX_CONNECTIONS_PER_CLIENT', 10_000, 1, 1_000_000),
    }),
    webhookRetrySeconds: read.seconds('WEBHOOK_RETRY_SCHEDULE', [5, 300, 1800, 7200, 18_000, 36_000, 36_000]),
    notificationRetrySeconds: read.seconds('NOTIFICATION_RETRY_SCHEDULE', [30, 120, 300]),
    mailUrl: read.url('MAIL_URL', ['smtp:', 'smtps:']),
    egressAllowedCidrs: read.cidrs('EGRESS_ALLOWED_CIDRS'),
  };
  read.refuseUnknown();
  if (read.faults.length > 0) throw new ConfigError(read.faults);
  return Object.freeze(config);
}

/** The configuration of this process: `.env` first (it never overrides what is set), then the environment. */
export function loadConfig(): Config {
  if (existsSync('.env')) process.loadEnvFile('.env');
  return readConfig(process.env);
}

/** Injection token of the {@link Config}. */
export const CONFIG = Symbol('Config');
