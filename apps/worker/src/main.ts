import 'reflect-metadata';
import { ConfigError, type Config } from '#libs/config';
import { runProcess } from '#libs/process';

function check({ databaseUrl, jobs }: Config): void {
  const faults: string[] = [];
  if (!databaseUrl) faults.push('DATABASE_URL is required: a worker shares the database of the API');
  if (!jobs) faults.push('JOBS must not be off: a worker does nothing else');
  if (faults.length > 0) throw new ConfigError(faults);
}

runProcess(async () => (await import('./worker.js')).prepareWorker, check);
