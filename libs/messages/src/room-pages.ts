import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { classify, Database, HotSessions, type NamedStatement, type TextRow } from '#libs/database';
import { roomPagesSql, type RoomPageRow } from './room-page.js';

const MAX_BATCH = 16;
const MAX_FLIGHTS = 4;
/** How many pages must wait for a batch to leave while another is under way. */
const WORTH_A_FLIGHT = 8;
/** Up to here skipping costs little; a page further away is read alone, on the general pool, and delays no other. */
const FEW_SKIPPED = 200;
const LARGEST_SEQ = '9223372036854775807';

/** Which page of a room, for whom. */
export interface RoomPageAsked {
  clientId: string;
  roomId: string;
  /** The user who must be a member; undefined: no one need be. */
  userId: string | undefined;
  order: 'asc' | 'desc';
  /** How many rows at most. */
  limit: number;
  /** The seq the page begins behind; undefined: at the room's first or last message. */
  start: string | undefined;
  /** How many messages to skip. */
  skipped: number;
}

/** Pages lock nothing; what changes a table itself holds them up for so long at most. */
const LOCK_TIMEOUT_MS = 1_000;

interface Waiting {
  asked: RoomPageAsked;
  resolve: (rows: RoomPageRow[]) => void;
  reject: (error: unknown) => void;
}

/** Reads the rows of a statement; the seam through which tests hold and fail a batch. */
export interface PageReader {
  rows(statement: NamedStatement): Promise<TextRow[]>;
  close(): Promise<void>;
}

/** Injection token of the {@link PageReader}. */
export const PAGE_READER = Symbol('PageReader');

/** The sessions pages are read on. */
export function pageSessions(database: Database): PageReader {
  return new HotSessions(database.url, { max: MAX_FLIGHTS, lockTimeoutMs: LOCK_TIMEOUT_MS });
}

/**
 * Reads pages of rooms. A page that finds no batch under way is read at once; those that are asked for meanwhile go
 * together in the next, in one statement, which leaves before the answers of the batch before it are rendered. More than
 * one is under way only when many wait, so that a slow disk does not hold up everyone.
 */
@Injectable()
export class RoomPages implements OnApplicationShutdown {
  private waiting: Waiting[] = [];
  private flights = 0;

  constructor(
    private readonly database: Database,
    @Inject(PAGE_READER) private readonly reader: PageReader,
  ) {}

  /** The rows of one page, in order: none when the room is not there, one without a message when the page is empty. */
  async read(asked: RoomPageAsked): Promise<RoomPageRow[]> {
    if (asked.skipped > FEW_SKIPPED) {
      return inOrder((await this.database.preparedText(statementOf([asked]))) as RoomPageRow[], asked.order);
    }
    return new Promise((resolve, reject) => {
      this.waiting.push({ asked, resolve, reject });
      this.launch();
    });
  }

  async onApplicationShutdown(): Promise<void> {
    await this.reader.close();
  }

  private launch(): void {
    while (this.waiting.length >= (this.flights === 0 ? 1 : WORTH_A_FLIGHT) && this.flights < MAX_FLIGHTS) {
      void this.fly(this.takeBatch());
    }
  }

  /** The page that has waited longest, and of the others those that the same statement reads. */
  private takeBatch(): Waiting[] {
    const { order, limit } = this.waiting[0]!.asked;
    const batch: Waiting[] = [];
    const left: Waiting[] = [];
    for (const item of this.waiting) {
      const alike = item.asked.order === order && item.asked.limit === limit;
      (alike && batch.length < MAX_BATCH ? batch : left).push(item);
    }
    this.waiting = left;
    return batch;
  }

  /** Reads a batch and answers everyone in it; never rejects. */
  private async fly(batch: Waiting[]): Promise<void> {
    this.flights++;
    const pages: RoomPageRow[][] = batch.map(() => []);
    let fault: unknown;
    try {
      const rows = (await this.reader.rows(statementOf(batch.map(({ asked }) => asked)))) as RoomPageRow[];
      for (const row of rows) pages[Number(row[0]) - 1]!.push(row);
    } catch (error) {
      fault = classify(error);
    }
    this.flights--;
    this.launch();
    batch.forEach(({ asked, resolve, reject }, index) => {
      if (fault === undefined) resolve(inOrder(pages[index]!, asked.order));
      else reject(fault);
    });
  }
}

function statementOf(asked: RoomPageAsked[]): NamedStatement {
  const { order, limit } = asked[0]!;
  const first = order === 'asc' ? '0' : LARGEST_SEQ;
  return {
    name: `room-pages-${order}-${limit}`,
    text: roomPagesSql(order, limit),
    values: [
      asked.map(({ clientId }) => clientId),
      asked.map(({ roomId }) => roomId),
      asked.map(({ userId }) => userId ?? null),
      asked.map(({ start }) => start ?? first),
      asked.map(({ skipped }) => skipped),
    ],
  };
}

function inOrder(rows: RoomPageRow[], order: 'asc' | 'desc'): RoomPageRow[] {
  const direction = order === 'asc' ? 1 : -1;
  return rows.sort((a, b) => direction * (Number(a[3]) - Number(b[3])));
}
