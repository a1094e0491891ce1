import type { Config } from '#libs/config';
import { isConnectionFault } from '#libs/database';

/** What the person at the terminal sees once the server listens. */
export function banner(config: Config): string {
  if (config.production) return '';
  const base = `http://localhost:${config.port}`;
  return `
ChatAPI is running.

  API      ${base}/api/v1
  Docs     ${base}/docs     (try it out)
  ReDoc    ${base}/redoc
  Data     ${config.databaseUrl ? 'DATABASE_URL' : config.dataDir}

Try first:

  curl -X POST ${base}/api/v1/clients \\
    -H "Content-Type: application/json" -d '{"name": "My app"}'

`;
}

/** One clear sentence for a failed start. */
export function explain(error: unknown): string {
  if (!(error instanceof Error)) return 'The start failed.';
  const { code, port } = error as Error & { code?: string; port?: number };
  if (code === 'EADDRINUSE') return `Port ${port} is taken by another program; set PORT to a free one.`;
  if (code === 'EACCES' && port !== undefined)
    return `Port ${port} may not be used by this user; set PORT to one above 1023.`;
  if (isConnectionFault(error)) return `The database of DATABASE_URL cannot be reached (${code ?? 'no answer'}).`;
  if (code === '28P01' || code === '28000' || code === '3D000')
    return `The database of DATABASE_URL refuses the connection: ${error.message}`;
  return error.message;
}
