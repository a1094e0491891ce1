import { Injectable } from '@nestjs/common';

/** One thing readiness depends on; rejects or throws when it is not usable. */
export type ReadinessCheck = () => Promise<void>;

/** Whether this process should get traffic. */
@Injectable()
export class Health {
  /** Set by the shutdown: ready answers 503 from then on. */
  stopping = false;
  private readonly checks = new Map<string, ReadinessCheck>();

  /** Adds a named check. */
  add(name: string, check: ReadinessCheck): void {
    this.checks.set(name, check);
  }

  /** Runs every check, each within 2 s. */
  async ready(): Promise<{ ready: boolean; checks: Record<string, 'ok' | 'failed'> }> {
    const checks: Record<string, 'ok' | 'failed'> = {};
    await Promise.all(
      [...this.checks].map(async ([name, check]) => {
        let timer: NodeJS.Timeout | undefined;
        const late = new Promise<never>((_resolve, reject) => {
          timer = setTimeout(() => reject(new Error('late')), 2_000);
        });
        checks[name] = await Promise.race([check(), late]).then(
          () => 'ok' as const,
          () => 'failed' as const,
        );
        clearTimeout(timer);
      }),
    );
    if (this.stopping) checks['shutdown'] = 'failed';
    return { ready: Object.values(checks).every((state) => state === 'ok'), checks };
  }
}
