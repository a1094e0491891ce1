import { Injectable } from '@nestjs/common';
import type { Connection } from './connection.js';

/** Every connection of this process, by tenant and user. */
@Injectable()
export class Connections {
  readonly all = new Set<Connection>();
  private readonly byUser = new Map<string, Set<Connection>>();
  private readonly byClient = new Map<string, number>();

  /** Registers a connection; true when it is the first of its tenant here. */
  add(connection: Connection): boolean {
    const { clientId, userId } = connection.principal;
    this.all.add(connection);
    if (userId !== undefined) {
      const own = this.byUser.get(userId);
      if (own) own.add(connection);
      else this.byUser.set(userId, new Set([connection]));
    }
    const before = this.byClient.get(clientId) ?? 0;
    this.byClient.set(clientId, before + 1);
    return before === 0;
  }

  /** Forgets a connection; true when it was the last of its tenant here. */
  remove(connection: Connection): boolean {
    if (!this.all.delete(connection)) return false;
    const { clientId, userId } = connection.principal;
    if (userId !== undefined) {
      const own = this.byUser.get(userId);
      own?.delete(connection);
      if (own?.size === 0) this.byUser.delete(userId);
    }
    const left = (this.byClient.get(clientId) ?? 1) - 1;
    if (left > 0) this.byClient.set(clientId, left);
    else this.byClient.delete(clientId);
    return left <= 0;
  }

  /** The sockets of a user here; user ids are unique over tenants, the tenant is checked all the same. */
  ofUser(clientId: string, userId: string): Connection[] {
    const own = this.byUser.get(userId);
    return own ? [...own].filter((connection) => connection.principal.clientId === clientId) : [];
  }

  hasUser(userId: string): boolean {
    return this.byUser.has(userId);
  }

  /** Tenants with a connection here. */
  get clients(): IterableIterator<string> {
    return this.byClient.keys();
  }

  hasClient(clientId: string): boolean {
    return this.byClient.has(clientId);
  }
}
