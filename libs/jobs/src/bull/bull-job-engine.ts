import { setTimeout as delay } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import type { Job, Queue } from 'bull';
import type { JobEngine } from '../job-engine.js';
import type { BullConnections } from './bull-connections.js';

/** Wake-ups that may wait in Redis: many say no more than one, and a flood of them costs memory there. */
const SLOTS = 16;
const CLOSE_MS = 1_500;

/**
 * With Redis: a wake-up is a Bull job, which one of the processes takes. It holds nothing but the request to look, so a
 * Redis that is flushed, stopped or restarted loses nothing, and goes on serving without anybody's restart.
 */
export class BullJobEngine implements JobEngine {
  private readonly logger = new Logger('BullJobEngine');
  private isAdding = false;
  private again = false;
  private slot = 0;
  private isDown = false;
  private stopped = false;

  constructor(
    private readonly queue: Queue,
    private readonly connections: BullConnections,
  ) {
    // Bull names its connection and hears nothing of it: a stop before Redis was ever there would end the process.
    Object.assign(queue, { setWorkerName: () => Promise.resolve() });
    // Unheard, it would end the process. Said once per outage: a connection that is refused is tried again for ever.
    queue.on('error', () => {
      if (!this.isDown && !this.stopped)
        this.logger.warn('Redis is not reachable: deliveries are looked for every second');
      this.isDown = true;
    });
  }

  start(wake: () => Promise<void> | void): Promise<void> {
    const work = async (_job: Job): Promise<void> => {
      this.isDown = false;
      if (!this.stopped) await wake();
    };
    // Not awaited: it settles when the queue is closed, and with Redis down it waits for Redis.
    this.queue.process(1, work).catch(() => undefined);
    return Promise.resolve();
  }

  /** With Redis down Bull's `add` never settles: nobody waits for it, and no more than one is under way. */
  announce(): void {
    if (this.stopped) return;
    if (this.isAdding) {
      this.again = true;
      return;
    }
    this.isAdding = true;
    this.slot = (this.slot + 1) % SLOTS;
    // An id that waits already is not added again.
    const options = { jobId: `wake-${this.slot}`, removeOnComplete: true, removeOnFail: true };
    this.queue
      .add({}, options)
      .then(() => void (this.isDown = false))
      .catch(() => undefined)
      .finally(() => {
        this.isAdding = false;
        if (!this.again) return;
        this.again = false;
        this.announce();
      });
  }

  async stop(): Promise<void> {
    if (this.stopped) return;
    this.stopped = true;
    // Closing politely waits for Redis; without it the connections are cut.
    const closed = this.queue.close(true).catch(() => undefined);
    await Promise.race([closed, delay(CLOSE_MS, undefined, { ref: false })]);
    this.connections.cut();
  }
}
