import { Injectable } from '@nestjs/common';
import type { Tx } from '#libs/database';

/** What another feature does in the transaction that deletes a user. */
export type UserDeletionHandler = (tx: Tx, clientId: string, userId: string) => Promise<void>;

/** Lets features above hear of a user's deletion inside its transaction, without users knowing them. */
@Injectable()
export class UserLifecycle {
  private readonly handlers: UserDeletionHandler[] = [];

  /** Registers a handler; called while modules start. */
  onDelete(handler: UserDeletionHandler): void {
    this.handlers.push(handler);
  }

  /** Runs every handler in order. */
  async deleting(tx: Tx, clientId: string, userId: string): Promise<void> {
    for (const handler of this.handlers) await handler(tx, clientId, userId);
  }
}
