import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { Client } from 'pg';
import { testDatabaseUrl } from './api.js';

/** The test run's database behind a door that can be shut. */
export interface BreakableDatabase {
  url: string;
  /** Cuts every connection and refuses new ones. */
  shut(): Promise<void>;
}

/** Opens such a door on a free port. */
export async function breakableDatabase(): Promise<BreakableDatabase> {
  const { host, port, user, password, database } = new Client({ connectionString: testDatabaseUrl() });
  const sockets = new Set<Socket>();
  const server = createServer((inner) => {
    const outer = host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host);
    for (const socket of [inner, outer]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        inner.destroy();
        outer.destroy();
      });
    }
    inner.pipe(outer).pipe(inner);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address() as AddressInfo;
  const login = `${encodeURIComponent(user!)}:${encodeURIComponent(String(password ?? ''))}`;
  return {
    url: `postgresql://${login}@127.0.0.1:${address.port}/${database}?sslmode=disable`,
    shut: async () => {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
