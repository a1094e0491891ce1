import { closeSync, openSync } from 'node:fs';
import { copyFile, open, rename, stat, truncate } from 'node:fs/promises';

const MAX_BYTES = 1024 * 1024;
const CHECK_EVERY_MS = 30_000;
const TAIL_BYTES = 4096;

/** The file the database writes its messages to: by itself, so that its last words are there even if node is dead. */
export class ServerLog {
  private timer: NodeJS.Timeout | undefined;

  private constructor(
    private readonly path: string,
    /** Open for appending, to be handed to the database. */
    readonly fd: number,
    private startedAt: number,
  ) {}

  /** Opens the file, and puts a full one aside first. */
  static async open(path: string): Promise<ServerLog> {
    if ((await sizeOf(path)) > MAX_BYTES) await rename(path, `${path}.1`);
    return new ServerLog(path, openSync(path, 'a', 0o600), await sizeOf(path));
  }

  /** Keeps the file within its bound while the database runs; holds nothing open and no process alive. */
  keepBounded(): void {
    this.timer = setInterval(() => void this.cut().catch(() => undefined), CHECK_EVERY_MS);
    this.timer.unref();
  }

  /** Puts a full file aside. The database appends, so it goes on from the beginning; a line in between may be lost. */
  async cut(): Promise<void> {
    if ((await sizeOf(this.path)) <= MAX_BYTES) return;
    await copyFile(this.path, `${this.path}.1`);
    await truncate(this.path);
  }

  /** Leaves what is written so far out of the last lines. */
  async beginAnew(): Promise<void> {
    this.startedAt = await sizeOf(this.path);
  }

  /** The last lines written since it was opened or begun anew, as one line of text. */
  async lastLines(count: number): Promise<string> {
    const size = await sizeOf(this.path);
    const from = Math.max(size - TAIL_BYTES, this.startedAt > size ? 0 : this.startedAt);
    const file = await open(this.path, 'r');
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(size - from), 0, size - from, from);
      const lines = buffer.toString('utf8', 0, bytesRead).split('\n');
      return lines
        .map((line) => line.trim())
        .filter((line) => line !== '')
        .slice(-count)
        .join(' | ');
    } finally {
      await file.close();
    }
  }

  /** Lets the file go. */
  close(): void {
    clearInterval(this.timer);
    closeSync(this.fd);
  }
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}
