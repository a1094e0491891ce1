import type { FastifyInstance } from 'fastify';
import type { Database } from '#libs/database';
import { MIGRATION_NAMES } from '#libs/database';
import type { MessageWriter } from '#libs/messages';
import type { Health, Metrics } from '#libs/observability';
import type { RateLimits } from '#libs/security';

/** What the operations routes look at. */
export interface OperationsParts {
  database: Database;
  health: Health;
  metrics: Metrics;
  limits: RateLimits;
  writer: MessageWriter;
}

/** `/health/live`, `/health/ready` and `/metrics`, at the root and without a key. */
export function addOperations(fastify: FastifyInstance, parts: OperationsParts): void {
  const { database, health, metrics, limits, writer } = parts;
  health.add('database', async () => {
    await database.query('SELECT 1');
  });
  health.add('migrations', async () => {
    const [row] = await database.query<{ n: number }>('SELECT count(*) AS n FROM migrations WHERE name = ANY($1)', [
      MIGRATION_NAMES,
    ]);
    if (row!.n !== MIGRATION_NAMES.length) throw new Error('migrations are missing');
  });
  const { redis } = limits;
  if (redis) {
    health.add('redis', async () => {
      await redis.ping();
    });
  }
  metrics.gauge('chatapi_db_pool_total', 'Connections of the database pool', () => database.pool.totalCount);
  metrics.gauge('chatapi_db_pool_idle', 'Idle connections of the database pool', () => database.pool.idleCount);
  metrics.gauge(
    'chatapi_db_pool_waiting',
    'Requests waiting for a database connection',
    () => database.pool.waitingCount,
  );
  metrics.gauge('chatapi_message_queue_depth', 'Sends waiting for the group commit', () => writer.depth);
  metrics.gauge('chatapi_rate_limit_degraded', '1 while Redis is down and limits count in process', () =>
    Number(limits.degraded),
  );

  fastify.get('/health/live', (_request, reply) => reply.send({ status: 'ok' }));
  fastify.get('/health/ready', async (_request, reply) => {
    const { ready, checks } = await health.ready();
    if (!ready) reply.code(503).header('Retry-After', '1');
    return { status: ready ? 'ok' : 'unavailable', checks };
  });
  fastify.get('/metrics', async (_request, reply) => {
    reply.header('Content-Type', metrics.registry.contentType);
    return metrics.registry.metrics();
  });
}
