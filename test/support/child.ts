import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';

/** A compiled program of ours, run as a process of its own. */
export interface Child {
  process: ChildProcess;
  output: () => string;
  /** Resolves with the exit code; null: ended by a signal. */
  exit: Promise<number | null>;
  /** Ends it as a power cut would. */
  kill(): Promise<void>;
}

/** Ends the child with this process, which the runner may cut off in the middle of a test. */
const LIFE_LINE = 'data:text/javascript,process.on("disconnect",()=>process.exit(1));process.channel.unref()';

/** Starts `dist/<program>` with nothing of this environment but the path. */
export function startChild(program: string, env: Record<string, string>): Child {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, ['--import', LIFE_LINE, resolve('dist', program)], {
    env: { PATH, HOME, LOG_LEVEL: 'silent', HOST: '127.0.0.1', ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let output = '';
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.on('data', (part) => (output = (output + part).slice(-20_000)));
  }
  const exit = once(child, 'close').then(([code]) => code as number | null);
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exit;
  };
  return { process: child, output: () => output, exit, kill };
}
