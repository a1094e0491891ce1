import { setTimeout as delay } from 'node:timers/promises';
import {
  Inject,
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { NIL_ID } from '#libs/common';
import { CONFIG, type Config } from '#libs/config';
import { EventLog } from '#libs/events';
import { Deliveries, DeliveryEngine } from '#libs/jobs';
import { Metrics } from '#libs/observability';
import { EventRelayRepository, RELAY_BATCH, type Relayed } from './event-relay.repository.js';
import { WebhookEventHandler } from './handlers/webhook-event.handler.js';

// Facts of other processes, and of those that died before they told us, are found within this.
const LOOK_EVERY_MS = 500;

// While facts come thick, they are relayed together: a pass costs about the same for a few as for many.
const MANY = 4;
const GATHER_MS = 20;
/** Facts for about so many deliveries are relayed at least, even if there is no room for them here. */
const LEAST = 64;

/** Turns facts into deliveries: at once for those of this process, soon for all others. Any number may run. */
@Injectable()
export class EventRelay implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger('EventRelay');
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | undefined;
  private again = false;
  private stopped = false;
  /** The tenant served last. */
  private after = NIL_ID;
  /** Deliveries per fact, lately. */
  private fanOut = 1;

  constructor(
    private readonly repository: EventRelayRepository,
    private readonly events: EventLog,
    private readonly deliveries: Deliveries,
    private readonly engine: DeliveryEngine,
    private readonly handler: WebhookEventHandler,
    @Inject(CONFIG) private readonly config: Config,
    metrics: Metrics,
  ) {
    metrics.gauge('chatapi_events_oldest_waiting_seconds', 'How long the oldest event has waited to be relayed', () =>
      repository.oldestSeconds(),
    );
  }

  onApplicationBootstrap(): void {
    if (!this.config.jobs) return;
    this.events.onCommitted(() => this.wake());
    this.timer = setInterval(() => this.wake(), LOOK_EVERY_MS).unref();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.stopped = true;
    clearInterval(this.timer);
    await this.running;
  }

  /** Relays what waits; what is committed meanwhile is seen by one more pass. */
  wake(): void {
    this.again = true;
    if (!this.running && !this.stopped) this.running = this.drain().finally(() => (this.running = undefined));
  }

  private async drain(): Promise<void> {
    while (this.again && !this.stopped) {
      this.again = false;
      try {
        const { taken, added, leased, more } = await this.relay();
        if (taken > 0) this.fanOut = Math.max(1, added / taken);
        if (added > leased.length) this.deliveries.committed();
        this.again ||= more;
        await this.pause(taken, more);
      } catch (error) {
        // What was not committed is still waiting; the next look finds it.
        this.logger.warn(`Relaying failed: ${error instanceof Error ? error.name : 'unknown'}`);
        return;
      }
    }
  }

  /** Facts come together, deliveries are born leased, and requests get their share: each is worth a moment. */
  private async pause(taken: number, more: boolean): Promise<void> {
    const yielding = this.engine.yielding();
    if (this.stopped) return;
    if (yielding) await delay(yielding.pauseMs);
    else if (more) await this.engine.roomy(LOOK_EVERY_MS);
    else if (taken >= MANY) await delay(GATHER_MS);
  }

  /** One pass: about as many facts as there is room for their deliveries. */
  private async relay(): Promise<Relayed> {
    let answer: Relayed | undefined;
    await this.engine.leaseWith(async (terms) => {
      const busy = [...terms.busy.values()].reduce((sum, count) => sum + count, 0);
      const wanted = this.engine.yielding()?.limit ?? Math.max(terms.tenantLimit - busy, LEAST);
      const limit = Math.min(Math.ceil(wanted / this.fanOut), RELAY_BATCH);
      const { laneConcurrency, timeoutMs } = this.handler;
      answer = await this.repository.relay(limit, this.after, { ...terms, laneConcurrency, timeoutMs });
      return answer.leased;
    });
    this.after = answer!.after;
    return answer!;
  }
}
