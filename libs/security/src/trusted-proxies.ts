import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';
import type { Config } from '#libs/config';

/** Whether an address is that of a proxy that is believed when it says on whose behalf it asks. */
export type TrustedProxies = (address: string) => boolean;

/** What `TRUST_PROXY` says, for REST and sockets alike. */
export function trustedProxies({ trustProxy }: Pick<Config, 'trustProxy'>): TrustedProxies {
  if (typeof trustProxy === 'boolean') return () => trustProxy;
  const list = new BlockList();
  for (const proxy of trustProxy) {
    const [network, bits] = proxy.split('/') as [string, string | undefined];
    if (bits === undefined) list.addAddress(network, family(network));
    else list.addSubnet(network, Number(bits), family(network));
  }
  return (address) => isIP(address) !== 0 && list.check(address, family(address));
}

/** Where a request comes from: past every proxy that is believed, to the first address that is none. */
export function addressOf(request: IncomingMessage, trusted: TrustedProxies): string {
  const forwarded = String(request.headers['x-forwarded-for'] ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean);
  let address = request.socket.remoteAddress ?? '';
  while (forwarded.length > 0 && trusted(address)) address = forwarded.pop()!;
  return address;
}

function family(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}
