import {
  Inject,
  Injectable,
  Logger,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { CONFIG, type Config } from '#libs/config';
import { Database } from '#libs/database';

/** A job that runs every so often, once per interval whatever the number of processes. */
export interface ScheduledJob {
  name: string;
  everySeconds: number;
  run: () => Promise<void>;
}

const LOOK_EVERY_MS = 1_000;

/**
 * Runs scheduled jobs. When each is due stands in PostgreSQL, so a restart forgets nothing; the process whose UPDATE
 * claims a due row runs it. A process that dies in the middle leaves the job due again after its interval.
 */
@Injectable()
export class Scheduler implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly jobs = new Map<string, ScheduledJob>();
  private readonly logger = new Logger('Scheduler');
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<void> | undefined;

  constructor(
    private readonly database: Database,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  /** Registers a job; called while modules start. */
  register(job: ScheduledJob): void {
    this.jobs.set(job.name, job);
  }

  async onApplicationBootstrap(): Promise<void> {
    if (!this.config.jobs) return;
    for (const { name } of this.jobs.values()) {
      await this.database.query(
        'INSERT INTO scheduled_jobs (name, next_run_at) VALUES ($1, now()) ON CONFLICT (name) DO NOTHING',
        [name],
      );
    }
    this.timer = setInterval(() => {
      this.running ??= this.runDue().finally(() => (this.running = undefined));
    }, LOOK_EVERY_MS).unref();
  }

  async beforeApplicationShutdown(): Promise<void> {
    clearInterval(this.timer);
    await this.running;
  }

  /** Runs what is due now, one after another; a failure is logged and waits for the next interval. */
  async runDue(): Promise<void> {
    for (const job of this.jobs.values()) {
      try {
        const claimed = await this.database.query(
          `UPDATE scheduled_jobs SET next_run_at = now() + make_interval(secs => $2), last_run_at = now()
           WHERE name = $1 AND next_run_at <= now() RETURNING name`,
          [job.name, job.everySeconds],
        );
        if (claimed.length > 0) await job.run();
      } catch (error) {
        this.logger.warn(`Job ${job.name} failed: ${error instanceof Error ? error.name : 'unknown'}`);
      }
    }
  }
}
