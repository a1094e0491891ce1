import { isConnectionFault } from '#libs/database';

/** One clear sentence for a failed start. */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return 'The start failed.';
  const { code, port } = error as Error & { code?: string; port?: number };
  if (code === 'EADDRINUSE')
    return `Port ${port} is taken by another program; set PORT (of a worker: WORKER_PORT) to a free one.`;
  if (code === 'EACCES' && port !== undefined)
    return `Port ${port} may not be used by this user; set PORT to one above 1023.`;
  if (isConnectionFault(error)) return `The database of DATABASE_URL cannot be reached (${code ?? 'no answer'}).`;
  if (code === '28P01' || code === '28000' || code === '3D000')
    return `The database of DATABASE_URL refuses the connection: ${error.message}`;
  return error.message;
}
