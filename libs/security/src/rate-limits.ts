import { Inject, Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { Redis } from 'ioredis';
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes, type RateLimiterAbstract } from 'rate-limiter-flexible';
import { CONFIG, type Config, type RateLimit } from '#libs/config';
import type { LimitFamily } from './route-rules.js';

/** State of a window after a request was counted in it. */
export interface RateState {
  limit: number;
  remaining: number;
  /** Unix seconds when the window ends. */
  resetAt: number;
  exceeded: boolean;
}

/** What the limiter reports to metrics. */
export interface RateLimitObserver {
  degraded(isDegraded: boolean): void;
}

interface Family {
  limit: NonNullable<RateLimit>;
  limiter: RateLimiterAbstract;
}

/** Fixed-window counting per family and principal: in Redis when configured, else (or while Redis is down) in process. */
@Injectable()
export class RateLimits implements OnApplicationShutdown {
  /** True while Redis is configured and does not answer. */
  degraded = false;
  readonly redis: Redis | undefined;
  private readonly logger = new Logger('RateLimits');
  private readonly families: Record<LimitFamily, Family | undefined>;

  constructor(@Inject(CONFIG) config: Config) {
    this.redis = config.redisUrl ? this.connect(config.redisUrl) : undefined;
    const make = (name: LimitFamily): Family | undefined => {
      const limit = config.rateLimits[name];
      return limit ? { limit, limiter: this.limiter(name, limit) } : undefined;
    };
    this.families = {
      authentication: make('authentication'),
      messages: make('messages'),
      notifications: make('notifications'),
      default: make('default'),
    };
  }

  onApplicationShutdown(): void {
    this.redis?.disconnect();
  }

  /** Counts one request; undefined when the family is off. */
  async count(family: LimitFamily, principal: string): Promise<RateState | undefined> {
    const entry = this.families[family];
    if (!entry) return undefined;
    try {
      return stateOf(entry.limit.points, await entry.limiter.consume(principal), false);
    } catch (rejection) {
      if (rejection instanceof RateLimiterRes) return stateOf(entry.limit.points, rejection, true);
      throw rejection;
    }
  }

  /** The window's state for an answer that is not counted (no principal is known). */
  idle(family: LimitFamily): RateState | undefined {
    const entry = this.families[family];
    if (!entry) return undefined;
    const { points, seconds } = entry.limit;
    return { limit: points, remaining: points, resetAt: Math.ceil(Date.now() / 1000) + seconds, exceeded: false };
  }

  private limiter(name: string, limit: NonNullable<RateLimit>): RateLimiterAbstract {
    const options = { keyPrefix: `chatapi:limit:${name}`, points: limit.points, duration: limit.seconds };
    const memory = new RateLimiterMemory(options);
    if (!this.redis) return memory;
    return new RateLimiterRedis({
      ...options,
      storeClient: this.redis,
      insuranceLimiter: memory,
      rejectIfRedisNotReady: true,
    });
  }

  private connect(url: string): Redis {
    const redis = new Redis(url, {
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      connectTimeout: 2_000,
      commandTimeout: 1_000,
      retryStrategy: (times) => Math.min(times * 100, 1_000),
    });
    redis.on('error', () => this.setDegraded(true));
    redis.on('close', () => this.setDegraded(true));
    redis.on('ready', () => this.setDegraded(false));
    return redis;
  }

  private setDegraded(degraded: boolean): void {
    if (this.degraded === degraded) return;
    this.degraded = degraded;
    if (degraded) this.logger.warn('Redis does not answer: rate limits count in this process only');
    else this.logger.log('Redis answers again: rate limits are shared');
  }
}

function stateOf(limit: number, result: RateLimiterRes, exceeded: boolean): RateState {
  return {
    limit,
    remaining: Math.max(0, result.remainingPoints),
    resetAt: Math.ceil((Date.now() + result.msBeforeNext) / 1000),
    exceeded,
  };
}
