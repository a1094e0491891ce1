import { Injectable } from '@nestjs/common';
import { JsonPage, Turnstiles } from '#libs/common';
import {
  addDateRange,
  Conditions,
  Database,
  paginate,
  readCursor,
  readPage,
  writeCursor,
  type ListSpec,
  type SortColumn,
  type Sql,
  type Tx,
} from '#libs/database';
import type { ChangeFrameDto, MessageDto, MessageListQueryDto, MessageUpdateDto } from './message.dto.js';
import { batchStatement, sendOutcomes, type MessageSend, type SendOutcome } from './message-sends.js';
import { CHANGES_SQL, MESSAGE_JSON, MESSAGES, messagesByChange, messagesWithDeleted } from './message-sql.js';
import { renderMessage } from './room-page.js';
import { RoomPages } from './room-pages.js';

// In a room created_at never runs backwards against seq, and updated_at never against change_seq.
const ROOM_SORTS: Record<string, SortColumn> = {
  created_at: { sql: 'x.seq', type: 'bigint' },
  seq: { sql: 'x.seq', type: 'bigint' },
  updated_at: { sql: 'x.position', type: 'bigint' },
};
// Ids are time-ordered, so the primary key holds the order of creation.
const ALL_SORTS: Record<string, SortColumn> = {
  created_at: { sql: 'x.id', type: 'uuid' },
  seq: { sql: 'x.seq', type: 'bigint' },
  updated_at: { sql: 'x.updated_at', type: 'timestamptz' },
};

/** Lists of a tenant that are read at a time, other than a room's plain page: a search reads the room, a total counts. */
const SLOW_READS = 4;

/** What a change needs to know of the message. */
export interface MessageState {
  room_id: string;
  sender_id: string | null;
  deleted_at: Date | null;
  /** Whether the edit asked for says anything that does not stand there already. */
  differs: boolean;
}

/** What an edit changes of a message: what is given and is not so already. */
const DIFFERS = `coalesce(content <> $3::text, false) OR coalesce(meta <> $4::jsonb, false)
  OR ($5::boolean AND edit_reason IS DISTINCT FROM $6::text)`;

/** A page of a room, empty for a user who is not in it. */
export interface RoomPage {
  isAllowed: boolean;
  page: JsonPage;
}

/** Every query on messages but the batched send. */
@Injectable()
export class MessagesRepository {
  private readonly turnstiles = new Turnstiles(SLOW_READS);

  constructor(
    private readonly database: Database,
    private readonly pages: RoomPages,
  ) {}

  /** One send inside a transaction of its own. */
  async send(tx: Tx, send: MessageSend): Promise<SendOutcome> {
    return sendOutcomes([send], await tx.preparedText(batchStatement([send])))[0]!;
  }

  async find(sql: Sql | undefined, clientId: string, messageId: string): Promise<MessageDto | undefined> {
    const [row] = await (sql ?? this.database).query<{ message: MessageDto }>(
      `SELECT ${MESSAGE_JSON} AS message FROM ${MESSAGES} WHERE x.client_id = $1 AND x.id = $2`,
      [clientId, messageId],
    );
    return row?.message;
  }

  /** Whether the client has this user, active or not. */
  async hasUser(sql: Sql | undefined, clientId: string, userId: string): Promise<boolean> {
    const rows = await (sql ?? this.database).query(
      'SELECT 1 FROM users WHERE client_id = $1 AND id = $2 AND deleted_at IS NULL',
      [clientId, userId],
    );
    return rows.length > 0;
  }

  /** A page, rendered by PostgreSQL and passed through. */
  async list(clientId: string, userId: string | undefined, query: MessageListQueryDto): Promise<JsonPage> {
    const where = new Conditions().add('x.client_id = ?', clientId);
    if (query.room_id !== undefined) where.add('x.room_id = ?', query.room_id);
    else if (userId !== undefined) {
      where.add(
        'x.room_id IN (SELECT m.room_id FROM room_members m WHERE m.client_id = ? AND m.user_id = ? AND m.left_at IS NULL)',
        clientId,
        userId,
      );
    }
    const filtered = addFilters(where, query);
    const spec: ListSpec = {
      select: `${MESSAGE_JSON}::text AS json`,
      from: query.room_id === undefined ? MESSAGES : messagesOfRoom(query),
      where,
      sorts: query.room_id === undefined ? ALL_SORTS : ROOM_SORTS,
      id: 'x.id',
    };
    if (!filtered) spec.total = () => this.countAll(clientId, userId, query);
    const { rows, pagination } = await this.turnstiles.pass(clientId, () =>
      readPage<{ json: string }>(this.database, query, spec),
    );
    return new JsonPage(
      rows.map((row) => row.json),
      pagination,
    );
  }

  /** The plain page of a room, with the caller's access to it, in one round trip. */
  async roomPage(
    clientId: string,
    userId: string | undefined,
    roomId: string,
    query: MessageListQueryDto,
  ): Promise<RoomPage | undefined> {
    const cursor = readCursor(query, 'bigint');
    const size = query.size!;
    const skipped = cursor ? 0 : (query.page! - 1) * size;
    const found = await this.pages.read({
      clientId,
      roomId,
      userId,
      order: query.order!,
      limit: size + 1,
      start: cursor?.v,
      skipped,
    });
    const [first] = found;
    if (!first) return undefined;
    const [, total] = first;
    const rows = found.filter(([, , id]) => id !== null).slice(0, size);
    const last = rows.at(-1);
    const next = last ? writeCursor(query, last[3], last[2]!) : null;
    return {
      isAllowed: total !== null,
      page: new JsonPage(
        rows.map((row) => renderMessage(roomId, row)),
        paginate(query, cursor ? null : Number(total), found.length > size, next),
      ),
    };
  }

  /** Locks the conversation and takes its next seq for a change of one of its messages. */
  async takeSeq(tx: Tx, clientId: string, roomId: string, deletes: 0 | 1): Promise<{ seq: number; at: Date }> {
    const rows = await tx.query<{ seq: number; at: Date }>(
      `UPDATE room_counters SET seq = seq + 1, message_count = message_count - $3, deleted_count = deleted_count + $3,
         last_change_at = greatest(clock_timestamp(), last_change_at)
       WHERE client_id = $1 AND room_id = $2 RETURNING seq, last_change_at AS at`,
      [clientId, roomId, deletes],
    );
    return rows[0]!;
  }

  /** The message's state under the lock of its room's counters; undefined when it does not exist. */
  async lock(
    tx: Tx,
    clientId: string,
    messageId: string,
    edit: MessageUpdateDto = {},
  ): Promise<MessageState | undefined> {
    const sql = `SELECT room_id, sender_id, deleted_at, ${DIFFERS} AS differs FROM messages WHERE client_id = $1 AND id = $2`;
    const { content, meta, edit_reason: reason } = edit;
    const params = [clientId, messageId, content ?? null, meta ?? null, reason !== undefined, reason ?? null];
    const [seen] = await tx.query<MessageState>(sql, params);
    if (!seen) return undefined;
    await tx.query('SELECT 1 FROM room_counters WHERE client_id = $1 AND room_id = $2 FOR UPDATE', [
      clientId,
      seen.room_id,
    ]);
    const [row] = await tx.query<MessageState>(sql, params);
    return row;
  }

  async update(
    tx: Tx,
    clientId: string,
    messageId: string,
    change: MessageUpdateDto,
    seq: number,
    at: Date,
  ): Promise<void> {
    await tx.query(
      `UPDATE messages SET content = coalesce($3, content), meta = coalesce($4::jsonb, meta), edit_reason = $5,
         edited_at = $6, updated_at = $6, change_seq = $7 WHERE client_id = $1 AND id = $2`,
      [clientId, messageId, change.content ?? null, change.meta ?? null, change.edit_reason ?? null, at, seq],
    );
  }

  /** Soft delete: what was said is erased, that something was said stays. */
  async erase(tx: Tx, clientId: string, messageId: string, by: string | null, seq: number, at: Date): Promise<void> {
    await tx.query(
      `UPDATE messages SET content = '', meta = '{}', edit_reason = NULL, deleted_at = $3, updated_at = $3, deleted_by = $4,
         change_seq = $5 WHERE client_id = $1 AND id = $2`,
      [clientId, messageId, at, by, seq],
    );
  }

  /** Changes of a room after a seq, in order, each as its real-time frame. */
  async changes(clientId: string, roomId: string, afterSeq: number, limit: number): Promise<ChangeFrameDto[]> {
    const rows = await this.database.query<Omit<ChangeFrameDto, 'room_id'>>(CHANGES_SQL, [
      clientId,
      roomId,
      afterSeq,
      limit,
    ]);
    return rows.map((row) => ({
      type: row.type,
      room_id: roomId,
      seq: row.seq,
      data: row.data,
      timestamp: row.timestamp,
    }));
  }

  /** The room's number where it is below the one asked after, which then is of a time the database knows nothing of. */
  async seqUpTo(clientId: string, roomId: string, afterSeq: number): Promise<number> {
    const [row] = await this.database.query<{ seq: number }>(
      'SELECT least(seq, $3) AS seq FROM room_counters WHERE client_id = $1 AND room_id = $2',
      [clientId, roomId, afterSeq],
    );
    return row?.seq ?? afterSeq;
  }

  /** An exact total from the counters: looks at rooms, never at messages. */
  private async countAll(clientId: string, userId: string | undefined, query: MessageListQueryDto): Promise<number> {
    const where = new Conditions().add('c.client_id = ?', clientId).when(query.room_id, 'c.room_id = ?');
    if (query.room_id === undefined && userId !== undefined) {
      where.add(
        'c.room_id IN (SELECT m.room_id FROM room_members m WHERE m.client_id = ? AND m.user_id = ? AND m.left_at IS NULL)',
        clientId,
        userId,
      );
    }
    const counted = query.include_deleted ? 'c.message_count + c.deleted_count' : 'c.message_count';
    const [row] = await this.database.query<{ n: number }>(
      `SELECT coalesce(sum(${counted}), 0)::bigint AS n FROM room_counters c WHERE ${where.sql}`,
      where.params,
    );
    return row!.n;
  }
}

/** Where a room's messages come from in the order asked for. */
function messagesOfRoom({ sort, order, include_deleted }: MessageListQueryDto): string {
  if (sort === 'updated_at') return messagesByChange(order!, include_deleted === true);
  return include_deleted ? messagesWithDeleted(order!) : MESSAGES;
}

/** Adds what narrows the list; false when nothing does, so that counters know the total. */
function addFilters(where: Conditions, query: MessageListQueryDto): boolean {
  if (!query.include_deleted) where.add('x.deleted_at IS NULL');
  const before = where.params.length;
  where
    .when(query.message_type, 'x.message_type = ?')
    .when(query.sender_id, 'x.sender_id = ?')
    .when(query.reply_to, 'x.reply_to = ?')
    .when(query.after_seq, 'x.seq > ?')
    .when(query.before_seq, 'x.seq < ?');
  if (query.search !== undefined) {
    where.add(`to_tsvector('simple', x.content) @@ plainto_tsquery('simple', ?)`, query.search);
  }
  addDateRange(where, 'x.created_at', query);
  return where.params.length > before;
}
