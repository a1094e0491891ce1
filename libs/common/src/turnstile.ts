/** Lets a few at a time pass, in order. */
export class Turnstile {
  private passing = 0;
  private readonly waiting: (() => void)[] = [];

  /** `width`: how many at a time. */
  constructor(private readonly width: number) {}

  /** Nobody passes or waits. */
  get isIdle(): boolean {
    return this.passing === 0;
  }

  /** Runs the work when its turn has come. */
  async pass<T>(work: () => Promise<T>): Promise<T> {
    if (this.passing < this.width) this.passing++;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.waiting.shift();
      if (next) next();
      else this.passing--;
    }
  }
}

/** A turnstile for each tenant: what may be slow leaves room to what is not, and to other tenants. */
export class Turnstiles {
  private readonly tenants = new Map<string, Turnstile>();

  /** `width`: how many of one tenant at a time. */
  constructor(private readonly width: number) {}

  /** Runs the work when the tenant's turn has come. */
  async pass<T>(clientId: string, work: () => Promise<T>): Promise<T> {
    let own = this.tenants.get(clientId);
    if (!own) this.tenants.set(clientId, (own = new Turnstile(this.width)));
    try {
      return await own.pass(work);
    } finally {
      if (own.isIdle) this.tenants.delete(clientId);
    }
  }
}

/** Lets a few at a time pass; of those who wait, one of each tenant in turn. */
export class FairTurnstile {
  private passing = 0;
  /** Who waits, by tenant; the tenant whose turn is next is the first. */
  private readonly waiting = new Map<string, (() => void)[]>();

  /** `width`: how many at a time, of all tenants. */
  constructor(private readonly width: number) {}

  /** Runs the work when its turn has come. */
  async pass<T>(clientId: string, work: () => Promise<T>): Promise<T> {
    if (this.passing < this.width) this.passing++;
    else await new Promise<void>((resolve) => this.queue(clientId, resolve));
    try {
      return await work();
    } finally {
      this.handOn();
    }
  }

  private queue(clientId: string, resolve: () => void): void {
    const queue = this.waiting.get(clientId);
    if (queue) queue.push(resolve);
    else this.waiting.set(clientId, [resolve]);
  }

  private handOn(): void {
    const turn = this.waiting.entries().next();
    if (turn.done) {
      this.passing--;
      return;
    }
    const [clientId, queue] = turn.value;
    const next = queue.shift()!;
    this.waiting.delete(clientId);
    if (queue.length > 0) this.waiting.set(clientId, queue);
    next();
  }
}
