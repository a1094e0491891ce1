import type { INestApplicationContext } from '@nestjs/common';
import { Database, MIGRATION_NAMES } from '#libs/database';
import { MessageWriter } from '#libs/messages';
import { Health, Metrics } from '#libs/observability';
import { RateLimits } from '#libs/security';

/** What an operations route answers. */
export interface OperationsAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** The operations routes of every process, at the root and without a key. */
export type Operations = Readonly<Record<string, () => Promise<OperationsAnswer>>>;

/** Adds what health and metrics look at; answers `/health/live`, `/health/ready` and `/metrics`. */
export function operationsOf(app: INestApplicationContext): Operations {
  const [health, metrics] = [app.get(Health), app.get(Metrics)];
  addChecks(health, app.get(Database), app.get(RateLimits));
  addGauges(metrics, app);
  return {
    '/health/live': () => Promise.resolve(json(200, { status: 'ok' })),
    '/health/ready': async () => {
      const { ready, checks } = await health.ready();
      if (ready) return json(200, { status: 'ok', checks });
      const answer = json(503, { status: 'unavailable', checks });
      return { ...answer, headers: { ...answer.headers, 'Retry-After': '1' } };
    },
    '/metrics': async () => ({
      status: 200,
      headers: { 'Content-Type': metrics.registry.contentType },
      body: await metrics.registry.metrics(),
    }),
  };
}

function addChecks(health: Health, database: Database, { redis }: RateLimits): void {
  health.add('database', async () => {
    await database.query('SELECT 1');
  });
  health.add('migrations', async () => {
    const [row] = await database.query<{ n: number }>('SELECT count(*) AS n FROM migrations WHERE name = ANY($1)', [
      MIGRATION_NAMES,
    ]);
    if (row!.n !== MIGRATION_NAMES.length) throw new Error('migrations are missing');
  });
  if (redis) {
    health.add('redis', async () => {
      await redis.ping();
    });
  }
}

function addGauges(metrics: Metrics, app: INestApplicationContext): void {
  const [{ pool }, limits, writer] = [app.get(Database), app.get(RateLimits), app.get(MessageWriter)];
  metrics.gauge('chatapi_db_pool_total', 'Connections of the database pool', () => pool.totalCount);
  metrics.gauge('chatapi_db_pool_idle', 'Idle connections of the database pool', () => pool.idleCount);
  metrics.gauge('chatapi_db_pool_waiting', 'Requests waiting for a database connection', () => pool.waitingCount);
  metrics.gauge('chatapi_message_queue_depth', 'Sends waiting for the group commit', () => writer.depth);
  metrics.gauge('chatapi_rate_limit_degraded', '1 while Redis is down and limits count in process', () =>
    Number(limits.degraded),
  );
}

function json(status: number, body: object): OperationsAnswer {
  return { status, headers: { 'Content-Type': 'application/json; charset=utf-8' }, body: JSON.stringify(body) };
}
