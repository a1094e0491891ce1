import { connect, type Socket } from 'node:net';
import { type EgressGuard } from './egress.js';
import { egressError, timedOut } from './egress-faults.js';

/**
 * A TCP connection to a checked address of a host, for protocols other than HTTP. TLS on top of it must be asked for
 * the host, not the address. Throws {@link EgressError}.
 */
export async function connectPinned(
  guard: EgressGuard,
  host: string,
  port: number,
  timeoutMs: number,
): Promise<Socket> {
  const started = performance.now();
  const addresses = await guard.resolve(host);
  const rest = timeoutMs - (performance.now() - started);
  if (rest <= 0) throw timedOut();
  const socket = connect({
    host: addresses.length === 1 ? addresses[0]!.address : addresses[0]!.host,
    port,
    noDelay: true,
    autoSelectFamily: true,
    lookup: (_host, options, callback) => {
      if (options.all) callback(null, [...addresses]);
      else callback(null, addresses[0]!.address, addresses[0]!.family);
    },
  });
  // Whoever takes the socket over hears its errors too; until then nobody would, and that ends the process.
  socket.on('error', () => undefined);
  const timer = setTimeout(() => socket.destroy(timedOut()), rest);
  try {
    await new Promise<void>((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return socket;
  } catch (error) {
    socket.destroy();
    throw egressError(error);
  } finally {
    clearTimeout(timer);
  }
}
