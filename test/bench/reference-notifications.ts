/** Reference of accepted notifications: bare Fastify and pg, one single-row INSERT for each POST, and no check at all. */
import Fastify from 'fastify';
import pg from 'pg';
import { newId } from '#libs/common';
import { CLIENT_ID, endWithHarness, referenceSettings } from './references.js';

interface Body {
  type: string;
  to_email: string;
  subject: string;
  content: string;
}

const settings = referenceSettings();
const pool = new pg.Pool({ connectionString: settings.databaseUrl, max: settings.poolSize });
await pool.query(`CREATE TABLE IF NOT EXISTS bare_notifications (client_id uuid NOT NULL, id uuid NOT NULL, type text NOT NULL,
  to_email text NOT NULL, subject text NOT NULL, content text NOT NULL, status text NOT NULL, created_at timestamptz NOT NULL,
  PRIMARY KEY (client_id, id))`);
const server = Fastify();

server.post<{ Body: Body }>('/api/v1/notifications', async ({ body }, reply) => {
  const row = { id: newId(), ...body, status: 'pending', created_at: new Date() };
  await pool.query({
    name: 'insert',
    text: 'INSERT INTO bare_notifications VALUES ($1, $2, $3, $4, $5, $6, $7, $8)',
    values: [CLIENT_ID, row.id, row.type, row.to_email, row.subject, row.content, row.status, row.created_at],
  });
  reply.code(201);
  return { data: row, status: 'success', timestamp: new Date().toISOString() };
});

endWithHarness();
await server.listen({ host: '127.0.0.1', port: settings.port });
process.send?.('listening');
