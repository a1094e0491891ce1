interface Turnstile {
  running: number;
  waiting: (() => void)[];
}

/**
 * Lets a few reads of each tenant at a time to the database, in order: those that may be slow leave connections to what
 * is not, and to other tenants.
 */
export class Turnstiles {
  private readonly tenants = new Map<string, Turnstile>();

  constructor(private readonly width: number) {}

  /** Runs the work when its turn has come. */
  async pass<T>(clientId: string, work: () => Promise<T>): Promise<T> {
    let own = this.tenants.get(clientId);
    if (!own) this.tenants.set(clientId, (own = { running: 0, waiting: [] }));
    if (own.running < this.width) own.running++;
    else await new Promise<void>((resolve) => own.waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = own.waiting.shift();
      if (next) next();
      else if (--own.running === 0) this.tenants.delete(clientId);
    }
  }
}
