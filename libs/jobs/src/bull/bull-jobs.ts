import { BullModule, getQueueToken } from '@nestjs/bull';
import type { DynamicModule, FactoryProvider } from '@nestjs/common';
import type { Queue } from 'bull';
import { JOB_ENGINE } from '../job-engine.js';
import { BullConnections } from './bull-connections.js';
import { BullJobEngine } from './bull-job-engine.js';

const QUEUE = 'deliveries';

/** What the jobs module takes in when there is a Redis: the queue, and the engine on it. */
export function bullJobs(redisUrl: string): { queue: DynamicModule; engine: FactoryProvider<BullJobEngine> } {
  const connections = new BullConnections(redisUrl);
  return {
    queue: BullModule.registerQueue({ name: QUEUE, prefix: 'chatapi', createClient: connections.create }),
    engine: {
      provide: JOB_ENGINE,
      inject: [getQueueToken(QUEUE)],
      useFactory: (queue: Queue & { onApplicationShutdown?: () => Promise<void> }) => {
        // The engine closes the queue, and does not wait for a Redis that is away.
        queue.onApplicationShutdown = () => Promise.resolve();
        return new BullJobEngine(queue, connections);
      },
    },
  };
}
