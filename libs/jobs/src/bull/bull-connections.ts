import { Redis } from 'ioredis';

const MAX_RETRY_MS = 1_000;

/** The Redis connections of a Bull queue. Made by us, so that they survive any outage and can be cut at the end. */
export class BullConnections {
  private readonly connections: Redis[] = [];

  constructor(private readonly url: string) {}

  /** Bull's `createClient`. */
  readonly create = (): Redis => {
    const connection = new Redis(this.url, {
      // Bull insists on both: its commands wait for Redis as long as it takes.
      maxRetriesPerRequest: null,
      enableReadyCheck: false,
      retryStrategy: (times) => Math.min(times * 50, MAX_RETRY_MS),
    });
    this.connections.push(connection);
    return connection;
  };

  /** Whether all of them are gone for good. */
  get ended(): boolean {
    return this.connections.every(({ status }) => status === 'end');
  }

  cut(): void {
    for (const connection of this.connections) {
      connection.on('error', () => undefined);
      connection.disconnect();
    }
  }
}
