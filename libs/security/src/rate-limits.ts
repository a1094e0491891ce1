import { Inject, Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { Redis } from 'ioredis';
import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import { CONFIG, type Config, type RateLimit } from '#libs/config';
import { FixedWindows } from './fixed-windows.js';
import { rateState, type RateState } from './rate-state.js';
import type { LimitFamily } from './route-rules.js';

export type { RateState } from './rate-state.js';

/** What the limiter reports to metrics. */
export interface RateLimitObserver {
  degraded(isDegraded: boolean): void;
}

interface Family {
  limit: NonNullable<RateLimit>;
  /** In Redis when configured; the library counts in process while Redis is down. */
  shared: RateLimiterRedis | undefined;
  own: FixedWindows;
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
      return limit ? { limit, shared: this.shared(name, limit), own: new FixedWindows(limit) } : undefined;
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

  /** Counts one request; undefined when the family is off. Answers in the same tick when this process counts alone. */
  count(family: LimitFamily, principal: string): RateState | undefined | Promise<RateState> {
    const entry = this.families[family];
    if (!entry) return undefined;
    return entry.shared ? this.countShared(entry.limit.points, entry.shared, principal) : entry.own.count(principal);
  }

  /** The window's state for an answer that is not counted (no principal is known). */
  idle(family: LimitFamily): RateState | undefined {
    const entry = this.families[family];
    if (!entry) return undefined;
    const { points, seconds } = entry.limit;
    return { limit: points, remaining: points, resetAt: Math.ceil(Date.now() / 1000) + seconds, exceeded: false };
  }

  private async countShared(points: number, limiter: RateLimiterRedis, principal: string): Promise<RateState> {
    const result = await limiter.consume(principal).catch((rejection: unknown) => {
      if (rejection instanceof RateLimiterRes) return rejection;
      throw rejection;
    });
    return rateState(points, result.consumedPoints, Date.now() + result.msBeforeNext);
  }

  private shared(name: string, limit: NonNullable<RateLimit>): RateLimiterRedis | undefined {
    if (!this.redis) return undefined;
    const options = { keyPrefix: `chatapi:limit:${name}`, points: limit.points, duration: limit.seconds };
    return new RateLimiterRedis({
      ...options,
      storeClient: this.redis,
      insuranceLimiter: new RateLimiterMemory(options),
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
