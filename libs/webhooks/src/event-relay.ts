import { setTimeout as delay } from 'node:timers/promises';
import {
  Inject,
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { CONFIG, type Config } from '#libs/config';
import { EventLog } from '#libs/events';
import { Deliveries } from '#libs/jobs';
import { EventRelayRepository, RELAY_BATCH } from './event-relay.repository.js';

// Facts of other processes, and of those that died before they told us, are found within this.
const LOOK_EVERY_MS = 500;

// While facts come thick, they are relayed together: a pass costs about the same for a few as for many.
const MANY = 4;
const GATHER_MS = 20;

/** Turns facts into deliveries: at once for those of this process, soon for all others. Any number may run. */
@Injectable()
export class EventRelay implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger('EventRelay');
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | undefined;
  private again = false;
  private stopped = false;

  constructor(
    private readonly repository: EventRelayRepository,
    private readonly events: EventLog,
    private readonly deliveries: Deliveries,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

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
        const { taken, added } = await this.repository.relay();
        if (added > 0) this.deliveries.committed();
        if (taken === RELAY_BATCH) this.again = true;
        else if (taken >= MANY && !this.stopped) await delay(GATHER_MS);
      } catch (error) {
        // What was not committed is still waiting; the next look finds it.
        this.logger.warn(`Relaying failed: ${error instanceof Error ? error.name : 'unknown'}`);
        return;
      }
    }
  }
}
