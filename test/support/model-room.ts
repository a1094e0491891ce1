import assert from 'node:assert/strict';
import type { Database } from '#libs/database';
import type { TestFrame } from './sockets.js';

/** Lets a check hold back every writer of a room; several checks take turns. */
export class Gate {
  private writers = 0;
  private closed: Promise<void> | undefined;
  private open: () => void = () => undefined;
  private emptied: () => void = () => undefined;

  async write<T>(work: () => Promise<T>): Promise<T> {
    while (this.closed) await this.closed;
    this.writers++;
    try {
      return await work();
    } finally {
      if (--this.writers === 0) this.emptied();
    }
  }

  async alone<T>(work: () => Promise<T>): Promise<T> {
    while (this.closed) await this.closed;
    this.closed = new Promise((resolve) => (this.open = resolve));
    try {
      if (this.writers > 0) await new Promise<void>((resolve) => (this.emptied = resolve));
      return await work();
    } finally {
      this.closed = undefined;
      this.open();
    }
  }
}

/** A room's conversation as someone believes it to be, one line per message and changed membership. */
export type RoomState = Map<string, string>;

/** A room as a client keeps it: what docs/realtime.md tells clients to do, and nothing more. */
export class Replica {
  readonly state: RoomState = new Map();
  readonly mine = new Set<string>();
  /** Everything up to here is in the state. */
  position = 0;

  constructor(private readonly userId: string) {}

  apply({ type, seq, data }: TestFrame): void {
    if (type === 'message' || type === 'message_updated') {
      this.state.set(data.id, `${data.seq} ${data.content} ${data.is_edited}`);
      if (data.sender_id === this.userId) this.mine.add(data.id);
    } else if (type === 'message_deleted') {
      this.state.delete(data.id);
      this.mine.delete(data.id);
    } else {
      this.state.set(data.user_id, type === 'user_joined' ? 'in' : 'out');
    }
    this.position = Math.max(this.position, seq!);
  }
}

/** The same of the database. */
export async function databaseState(database: Database, clientId: string, roomId: string): Promise<RoomState> {
  const rows = await database.query<{ id: string; line: string }>(
    `SELECT id, seq || ' ' || content || ' ' || (edited_at IS NOT NULL) AS line FROM messages
     WHERE client_id = $1 AND room_id = $2 AND deleted_at IS NULL
     UNION ALL
     SELECT user_id, CASE WHEN left_at IS NULL THEN 'in' ELSE 'out' END FROM room_members
     WHERE client_id = $1 AND room_id = $2 AND change_seq > 0`,
    [clientId, roomId],
  );
  return new Map(rows.map(({ id, line }) => [id, line]));
}

/** What one has and the other has not; empty when they are equal. */
export function differences(have: RoomState, want: RoomState): string[] {
  const found: string[] = [];
  for (const [id, line] of want) if (have.get(id) !== line) found.push(`${id} is "${have.get(id)}", not "${line}"`);
  for (const id of have.keys()) if (!want.has(id)) found.push(`${id} should be gone`);
  return found;
}

/** Asserts that numbers rise on a connection. */
export function assertRises(before: number, seq: number, what: string): void {
  assert.ok(seq > before, `${what}: seq ${seq} came after ${before}`);
}
