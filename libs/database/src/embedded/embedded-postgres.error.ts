/** Why the embedded PostgreSQL cannot run; the message is one clear sentence for the person at the terminal. */
export class EmbeddedPostgresError extends Error {
  override readonly name = 'EmbeddedPostgresError';
}

/** The system's code of a failed call (`EACCES`, `ENOENT`), or an empty string. */
export function errorCode(error: unknown): string {
  return String((error as NodeJS.ErrnoException | undefined)?.code ?? '');
}
