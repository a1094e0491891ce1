import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** 2000::/3: everything global that IANA has given out. The rest embeds, translates or is not routed. */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3');

/** Which addresses may be reached: public unicast ones, and what lies in the allowed networks. */
export class AddressRules {
  private readonly allowed: [Address, number][];

  constructor(allowedCidrs: readonly string[]) {
    this.allowed = allowedCidrs.map((cidr) => ipaddr.parseCIDR(cidr));
  }

  /** Whether a literal address may be reached; what is not an address may not. */
  mayReach(address: string): boolean {
    return this.isAllowed(address) || isPublic(address);
  }

  /** Whether an address lies in one of the allowed networks. */
  isAllowed(address: string): boolean {
    const parsed = parse(address);
    if (!parsed) return false;
    return this.allowed.some(([network, bits]) => parsed.kind() === network.kind() && parsed.match(network, bits));
  }

  /** Whether any network is allowed beyond the public ones. */
  get allowsNetworks(): boolean {
    return this.allowed.length > 0;
  }
}

/** Neither private, loopback, link-local, shared, reserved, multicast, translated nor tunnelled. */
function isPublic(address: string): boolean {
  const parsed = parse(address);
  if (parsed?.range() !== 'unicast') return false;
  return parsed.kind() === 'ipv4' || parsed.match(GLOBAL_UNICAST);
}

/** An IPv4-mapped address leaves as IPv4, so it is judged as such. */
function parse(address: string): Address | undefined {
  const version = isIP(address);
  if (version === 0) return undefined;
  if (version === 4) return ipaddr.IPv4.parse(address);
  // In hexadecimal first: ipaddr.js takes the IPv4-compatible ::8.8.8.8 for the mapped ::ffff:8.8.8.8.
  if (!URL.canParse(`http://[${address}]/`)) return undefined;
  return ipaddr.process(new URL(`http://[${address}]/`).hostname.slice(1, -1));
}
