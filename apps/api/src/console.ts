import type { Config } from '#libs/config';

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
