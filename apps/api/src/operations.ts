import type { FastifyInstance } from 'fastify';
import type { Operations } from '#libs/composition';

/** The operations routes on the API's own port. */
export function addOperations(fastify: FastifyInstance, operations: Operations): void {
  for (const [path, answer] of Object.entries(operations)) {
    fastify.get(path, async (_request, reply) => {
      const { status, headers, body } = await answer();
      return reply.code(status).headers(headers).send(body);
    });
  }
}
