import { Injectable } from '@nestjs/common';
import { ApiError, isUuid, newId } from '#libs/common';
import { Database } from '#libs/database';
import { KeyDirectory, SecretBox, type OpenKey, type Principal } from '#libs/security';
import { Timings } from './timings.js';

const PURPOSE = 'socket-ticket';

/** A ticket as it is handed out. */
export interface Ticket {
  ticket: string;
  expiresAt: Date;
}

/**
 * What a browser connects with instead of a key: sealed with the key that encrypts secrets, so any process can open it
 * without having seen it before; that it is used once is the database's word.
 */
@Injectable()
export class Tickets {
  constructor(
    private readonly box: SecretBox,
    private readonly keys: KeyDirectory,
    private readonly database: Database,
    private readonly timings: Timings,
  ) {}

  /** Makes a ticket for the caller's key. */
  issue(caller: Principal): Ticket {
    const expiresAt = new Date(Date.now() + this.timings.ticketMs);
    const text = [PURPOSE, newId(), caller.clientId, caller.keyId, expiresAt.getTime()].join(' ');
    return { ticket: this.box.seal(text).toString('base64url'), expiresAt };
  }

  /** The key behind a ticket, once. */
  async redeem(ticket: string): Promise<OpenKey> {
    const { id, clientId, keyId, expiresAt } = this.read(ticket);
    if (expiresAt <= Date.now()) throw unusable();
    const used = await this.database.query(
      `WITH past AS (
         DELETE FROM used_tickets u USING (
           SELECT client_id, id FROM used_tickets WHERE expires_at < now() LIMIT 100 FOR UPDATE SKIP LOCKED
         ) p WHERE u.client_id = p.client_id AND u.id = p.id
       )
       INSERT INTO used_tickets (client_id, id, expires_at)
       SELECT c.id, $2, $3 FROM clients c WHERE c.id = $1 ON CONFLICT DO NOTHING RETURNING id`,
      [clientId, id, new Date(expiresAt)],
    );
    if (used.length === 0) throw unusable();
    const key = (await this.keys.reopen(clientId, [keyId])).get(keyId);
    if (!key) throw new ApiError('INVALID_CREDENTIALS', 'The key of this ticket is not valid any more');
    return key;
  }

  private read(ticket: string): { id: string; clientId: string; keyId: string; expiresAt: number } {
    let parts: string[];
    try {
      parts = this.box.open(Buffer.from(ticket, 'base64url')).split(' ');
    } catch {
      throw unusable();
    }
    const [purpose, id, clientId, keyId, expiresAt] = parts;
    if (purpose !== PURPOSE || !isUuid(id) || !isUuid(clientId) || !isUuid(keyId)) throw unusable();
    return { id, clientId, keyId, expiresAt: Number(expiresAt) };
  }
}

function unusable(): ApiError {
  return new ApiError('INVALID_CREDENTIALS', 'The ticket is not valid, was used, or is too old');
}
