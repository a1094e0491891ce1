import { isIP, type Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { EmailFault } from '../email-faults.js';

/** TLS for a host over a connection that was made to a checked address. `ca`: trusted beside nothing else, for tests. */
export async function tlsHandshake(plain: Socket, host: string, ca?: string): Promise<TLSSocket> {
  const secured = connect({ socket: plain, host, servername: isIP(host) === 0 ? host : '', ca });
  try {
    await new Promise<void>((resolve, reject) => {
      secured.once('secureConnect', resolve).once('error', reject);
      plain.once('close', () => reject(new EmailFault('EMAIL_TLS_FAILED')));
    });
    return secured;
  } finally {
    // Whoever takes it over hears its errors too; until then nobody would, and that ends the process.
    secured.on('error', () => undefined);
  }
}
