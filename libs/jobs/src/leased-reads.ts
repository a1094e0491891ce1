import type { ClaimedDelivery } from './delivery.js';

/**
 * What attempts read first and nobody changes meanwhile, such as an event's data: read in one statement for all
 * deliveries leased together, while the first of them wait for their turn. Kept no longer than the delivery is.
 */
export class LeasedReads<T> {
  private readonly reads = new WeakMap<ClaimedDelivery, Promise<T | undefined>>();

  /** `read` answers in any order; `keyOf` tells whose a row is. */
  constructor(
    private readonly read: (deliveries: readonly ClaimedDelivery[]) => Promise<T[]>,
    private readonly keyOf: (row: T) => string,
  ) {}

  /** Begins to read; a failure is met by the attempts. */
  prepare(deliveries: readonly ClaimedDelivery[]): void {
    const rows = this.read(deliveries).then((all) => new Map(all.map((row) => [this.keyOf(row), row])));
    for (const delivery of deliveries) {
      const one = rows.then((all) => all.get(sourceKey(delivery.clientId, delivery.sourceId)));
      one.catch(() => undefined);
      this.reads.set(delivery, one);
    }
  }

  /** What was read; undefined: it is gone. */
  async of(delivery: ClaimedDelivery): Promise<T | undefined> {
    if (!this.reads.has(delivery)) this.prepare([delivery]);
    return this.reads.get(delivery);
  }
}

/** Names what a delivery comes from among those of all tenants. */
export function sourceKey(clientId: string, id: string): string {
  return `${clientId} ${id}`;
}
