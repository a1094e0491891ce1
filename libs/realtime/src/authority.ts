import { Injectable, Logger } from '@nestjs/common';
import { KeyDirectory, type Revoked } from '#libs/security';
import { CLOSE, type Closing } from './close-codes.js';
import type { Connection } from './connection.js';
import { Connections } from './connections.js';

const RETRY_MS = 500;
const BATCH = 1_000;

const REVOKED: Closing = {
  code: CLOSE.invalidKey,
  errorCode: 'INVALID_CREDENTIALS',
  detail: 'The API key was revoked',
};
const EXPIRED: Closing = { code: CLOSE.invalidKey, errorCode: 'KEY_EXPIRED', detail: 'The API key has expired' };

/** Ends connections whose key has ended. A revocation says whom to ask about; the database says who is meant. */
@Injectable()
export class Authority {
  /** Counts revocations: whoever was let in while one passed is looked at again. */
  version = 0;
  private readonly logger = new Logger('Authority');

  constructor(
    private readonly keys: KeyDirectory,
    private readonly connections: Connections,
  ) {}

  /** Listens for revocations from now on. */
  start(): void {
    this.keys.onForget((what) => {
      this.version++;
      void this.recheck(what);
    });
  }

  /** Ends the connection when its key's time is up. */
  expire(connection: Connection, now: number): void {
    if (connection.expiresAt !== undefined && connection.expiresAt <= now) connection.end(EXPIRED);
  }

  /** Asks the database about the keys of the connections a revocation may be about. */
  async recheck(what: Revoked | undefined): Promise<void> {
    const byClient = new Map<string, Map<string, Connection[]>>();
    for (const connection of this.connections.all) {
      if (!concerns(what, connection)) continue;
      const { clientId, keyId } = connection.principal;
      const keys = byClient.get(clientId) ?? byClient.set(clientId, new Map()).get(clientId)!;
      const same = keys.get(keyId!);
      if (same) same.push(connection);
      else keys.set(keyId!, [connection]);
    }
    try {
      for (const [clientId, keys] of byClient) await this.compare(clientId, keys);
    } catch {
      this.logger.warn('Keys of open sockets could not be checked yet');
      setTimeout(() => void this.recheck(what), RETRY_MS).unref();
    }
  }

  /** Asks about one connection. */
  recheckOne(connection: Connection): void {
    const { clientId, keyId } = connection.principal;
    const keys = new Map([[keyId!, [connection]]]);
    this.compare(clientId, keys).catch(() => setTimeout(() => this.recheckOne(connection), RETRY_MS).unref());
  }

  private async compare(clientId: string, keys: Map<string, Connection[]>): Promise<void> {
    const keyIds = [...keys.keys()];
    for (let from = 0; from < keyIds.length; from += BATCH) {
      const batch = keyIds.slice(from, from + BATCH);
      const good = await this.keys.reopen(clientId, batch);
      for (const keyId of batch) {
        const key = good.get(keyId);
        for (const connection of keys.get(keyId)!) {
          if (!key) connection.end(REVOKED);
          else {
            connection.principal = key.principal;
            connection.expiresAt = key.expiresAt;
          }
        }
      }
    }
  }
}

function concerns(what: Revoked | undefined, { principal, keyPublicId }: Connection): boolean {
  if (what === undefined) return true;
  if ('publicId' in what) return keyPublicId === what.publicId;
  if (principal.clientId !== what.clientId) return false;
  return !('userId' in what) || principal.userId === what.userId;
}
