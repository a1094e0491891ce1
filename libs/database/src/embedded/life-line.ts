import { spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { CHILD_ENVIRONMENT } from './binaries.js';
import type { PostgresRunner } from './postgres-runner.js';

/**
 * Runs a program whose life hangs on our end of standard input.
 *
 * The kernel closes that end however node ends, kill -9 included; the watcher then interrupts the program. It repeats
 * that because a shell starts background programs with SIGINT ignored: a signal that comes before the program has set
 * its own handler is lost. It gives up after ten seconds, because a dead program that nobody collects (the shell was
 * killed too, and a container's first process collects no orphans) can be signalled for ever. Descriptor 3 is the
 * cluster lock: the program keeps it, the watcher does not. The traps make the shell outlive a signal that is sent to
 * everything (a service manager's stop).
 */
const SCRIPT = `
exec 4<&0 </dev/null
"$@" 4<&- &
program=$!
trap '' HUP INT QUIT TERM
{
  exec 3>&-
  while read -r line <&4; do :; done
  tries=0
  while [ "$tries" -lt 100 ] && kill -INT "$program" 2>/dev/null; do tries=$((tries + 1)); sleep 0.1; done
} &
watcher=$!
exec 4<&-
wait "$program"
code=$?
kill -KILL "$watcher" 2>/dev/null
wait "$watcher" 2>/dev/null
exit "$code"
`;

/** How a program on the life line ended: its exit code, above 128 for a signal. */
export interface LifeLineExit {
  readonly code: number | null;
}

/** A program that lives until `letGo`, its own end, or the death of node. */
export interface LifeLine {
  readonly exited: Promise<LifeLineExit>;
  /** Whether it has ended. */
  hasExited(): boolean;
  /** Asks it to stop; safe to call again. */
  letGo(): void;
  /** Stops it from keeping node alive: a script that forgets to stop the database can still end. */
  unref(): void;
  /** Waits for its end, at most so long; answers whether it ended. */
  waitForExit(timeoutMs: number): Promise<boolean>;
}

/** Starts a program in its own session, so that the terminal's Ctrl-C does not reach it. */
export function startOnLifeLine(
  runner: PostgresRunner,
  command: readonly string[],
  descriptors: { logFd: number; lockFd: number },
): LifeLine {
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'chatapi-postgres', ...runner.prefix, ...command], {
    cwd: '/',
    detached: true,
    env: CHILD_ENVIRONMENT,
    stdio: ['pipe', descriptors.logFd, descriptors.logFd, descriptors.lockFd],
    ...runner.owner,
  });
  let ended = false;
  const exited = new Promise<LifeLineExit>((resolve) => {
    const end = (code: number | null) => {
      ended = true;
      child.stdin?.destroy();
      resolve({ code });
    };
    child.once('exit', end);
    child.once('error', () => end(null));
  });
  child.stdin?.on('error', () => undefined);
  return {
    exited,
    hasExited: () => ended,
    letGo: () => void child.stdin?.end(),
    unref: () => {
      child.unref();
      (child.stdin as unknown as { unref?(): void } | null)?.unref?.();
    },
    waitForExit: async (timeoutMs) => {
      if (!ended) child.ref();
      const timer = new AbortController();
      const timeout = delay(timeoutMs, undefined, { signal: timer.signal }).catch(() => undefined);
      await Promise.race([exited, timeout]);
      timer.abort();
      return ended;
    },
  };
}
