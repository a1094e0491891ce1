import { Injectable } from '@nestjs/common';

const WIDTH = 6;

/** Lets a few reads at a time to the database, in order: thousands that reconnect at once leave connections to REST. */
@Injectable()
export class Turnstile {
  private free = WIDTH;
  private readonly waiting: (() => void)[] = [];

  /** Runs the work when its turn has come. */
  async pass<T>(work: () => Promise<T>): Promise<T> {
    if (this.free > 0) this.free--;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.waiting.shift();
      if (next) next();
      else this.free++;
    }
  }
}
