import { isIP } from 'node:net';
import type { Config } from '#libs/config';
import { AddressRules } from './address-rules.js';
import { EgressError, EgressGuard, type PinnedAddress } from './egress.js';
import { NameResolver } from './name-resolver.js';

const NOT_PUBLIC = 'The address of the target is not public; only EGRESS_ALLOWED_CIDRS can allow it';
const NOT_HTTPS = 'The URL must be https; only an address within EGRESS_ALLOWED_CIDRS may be called by plain http';

function refused(message: string): EgressError {
  return new EgressError('EGRESS_URL_REFUSED', message);
}

/** A host as URLs write it: names in ASCII without a trailing dot, every spelling of an address in its usual form. */
function normalisedHost(host: string): string {
  const bracketed = isIP(host) === 6 ? `[${host}]` : host;
  if (/[\s/?#@\\]/.test(host) || !URL.canParse(`http://${bracketed}/`)) throw refused('The host name is not usable');
  const { hostname, port } = new URL(`http://${bracketed}/`);
  if (port !== '' || hostname === '' || bracketed.endsWith(':')) throw refused('The host name is not usable');
  const bare = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname.replace(/\.$/, '');
  if (bare === '') throw refused('The host name is not usable');
  return bare;
}

/** Resolves names in DNS and lets through what {@link AddressRules} allow; a name with one bad address is bad. */
export class ResolvingGuard extends EgressGuard {
  private readonly rules: AddressRules;

  constructor(
    private readonly config: Pick<Config, 'production' | 'egressAllowedCidrs'>,
    private readonly resolver = new NameResolver(),
  ) {
    super();
    this.rules = new AddressRules(config.egressAllowedCidrs);
  }

  checkUrl(text: string): URL {
    if (!URL.canParse(text)) throw refused('The URL is not usable');
    const url = new URL(text);
    if (url.protocol !== 'http:' && url.protocol !== 'https:') throw refused('The URL must be http or https');
    if (url.username !== '' || url.password !== '') throw refused('The URL must not hold credentials');
    const host = normalisedHost(url.hostname);
    if (isIP(host) !== 0) this.checkAddresses([host], url.protocol);
    // Whether a name lies in an allowed network shows when it is resolved.
    else if (this.mustBeHttps(url.protocol) && !this.rules.allowsNetworks) throw refused(NOT_HTTPS);
    return url;
  }

  async check(text: string): Promise<PinnedAddress[]> {
    const url = this.checkUrl(text);
    return this.addressesOf(url.protocol, url.hostname);
  }

  resolve(host: string): Promise<PinnedAddress[]> {
    return this.addressesOf(undefined, host);
  }

  /** The checked addresses of a host for a protocol. Whoever connects must connect to one of these. */
  async addressesOf(protocol: string | undefined, host: string): Promise<PinnedAddress[]> {
    const name = normalisedHost(host);
    const family = isIP(name);
    const found =
      family === 0 ? await this.resolver.lookup(name) : [{ address: name, family: family === 4 ? 4 : (6 as const) }];
    if (found.length === 0) throw new EgressError('EGRESS_DNS', 'The host name does not resolve');
    this.checkAddresses(
      found.map(({ address }) => address),
      protocol,
    );
    return found.map(({ address, family: of }) => ({ host: name, address, family: of as 4 | 6 }));
  }

  private checkAddresses(addresses: string[], protocol: string | undefined): void {
    if (!addresses.every((address) => this.rules.mayReach(address))) {
      throw new EgressError('EGRESS_ADDRESS_REFUSED', NOT_PUBLIC);
    }
    if (this.mustBeHttps(protocol) && !addresses.every((address) => this.rules.isAllowed(address))) {
      throw refused(NOT_HTTPS);
    }
  }

  private mustBeHttps(protocol: string | undefined): boolean {
    return protocol === 'http:' && this.config.production;
  }
}
