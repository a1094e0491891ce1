import { Resolver } from 'node:dns/promises';

/** A resolved address. */
export interface ResolvedAddress {
  address: string;
  family: 4 | 6;
}

const ATTEMPT_TIMEOUT_MS = 2_000;
const TRIES = 2;
/** Over all servers and tries. */
const TOTAL_TIMEOUT_MS = 8_000;

/**
 * Looks names up in DNS alone. Not getaddrinfo: that holds one of the process's few file-system threads for as long as
 * a slow name server likes, and reads a hosts file that means the inside of this machine.
 */
export class NameResolver {
  private readonly dns = new Resolver({ timeout: ATTEMPT_TIMEOUT_MS, tries: TRIES });

  /** `servers` replaces the system's name servers, as in `127.0.0.1:5353`. */
  constructor(servers?: readonly string[]) {
    if (servers) this.dns.setServers([...servers]);
  }

  /** Every address of a name, IPv4 first; none when it has none or nobody knows. */
  async lookup(name: string): Promise<ResolvedAddress[]> {
    // RFC 6761: never asked of a server.
    if (name === 'localhost' || name.endsWith('.localhost')) return [{ address: '127.0.0.1', family: 4 }];
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<ResolvedAddress[]>((resolve) => {
      timer = setTimeout(() => resolve([]), TOTAL_TIMEOUT_MS);
    });
    try {
      return await Promise.race([this.ask(name), tooLate]);
    } finally {
      clearTimeout(timer);
    }
  }

  private async ask(name: string): Promise<ResolvedAddress[]> {
    const [v4, v6] = await Promise.allSettled([this.dns.resolve4(name), this.dns.resolve6(name)]);
    const of = (answer: PromiseSettledResult<string[]>, family: 4 | 6): ResolvedAddress[] =>
      answer.status === 'fulfilled' ? answer.value.map((address) => ({ address, family })) : [];
    return [...of(v4, 4), ...of(v6, 6)];
  }
}
