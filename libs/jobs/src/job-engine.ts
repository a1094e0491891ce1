/**
 * Wakes the processes that deliver. The database knows what is to be done, and each process looks by itself every
 * second, so a wake-up may be lost, late or needless: it is never what a delivery depends on.
 */
export interface JobEngine {
  /** From now on `wake` is called whenever some process announces work. */
  start(wake: () => Promise<void> | void): Promise<void>;
  /** Tells the other processes that there is work. Returns at once and never throws, whatever is down. */
  announce(): void;
  /** Calls `wake` no more. */
  stop(): Promise<void>;
}

/** Injection token of the {@link JobEngine}. */
export const JOB_ENGINE = Symbol('JobEngine');
