import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { ApiError, unavailable } from '#libs/common';
import {
  classify,
  Database,
  HotSessions,
  isLockTimeout,
  isRetryable,
  isStatementFault,
  NoConnection,
} from '#libs/database';
import { EventLog } from '#libs/events';
import { Hub, type RoomChange } from '#libs/realtime';
import { sendOutcomes, sendStatement, type MessageSend, type SendOutcome } from './message-sends.js';

const MAX_BATCH = 256;
const MAX_WAITING = 10_000;
const MAX_RUNS = 3;
const MAX_FLIGHTS = 2;
/** How many sends must wait for a flight to leave while another is under way: fewer are cheaper in its successor. */
const WORTH_A_FLIGHT = 24;
/** A flight of so many tells of a crowd. */
const CROWD = 8;
/** A flight that takes so long is held up, as by a room that is being erased: others then leave as if it were not there. */
const HELD_UP_MS = 100;
const MAX_HELD_UP = 4;
/** How long a flight waits for a room that somebody holds: what shares it waits as long. */
const FLIGHT_LOCK_MS = 1_000;
/** How long the sends into that room are then waited with, on their own, and for how many rooms at once. */
const PATIENCE_MS = 5_000;
const MAX_PATIENT = 4;
const PATIENT_IDLE_MS = 30_000;

const NO_ROOMS: ReadonlySet<string> = new Set();

interface Waiting {
  /** Its place in the order of arrival. */
  place: number;
  send: MessageSend;
  resolve: (outcome: SendOutcome) => void;
  reject: (error: unknown) => void;
}

/** Sends that wait for one room, which somebody holds, in order of arrival. */
interface Held {
  room: Waiting[];
  fault: unknown;
}

/** Executes sends in one commit; the seam through which tests make a database fail in mid-flush. */
export interface SendExecutor {
  /** Rejects with the driver's own error. `patiently`: waits longer for a room that somebody holds, and in nobody's way. */
  execute(sends: MessageSend[], patiently: boolean): Promise<SendOutcome[]>;
  close(): Promise<void>;
}

/** Injection token of the {@link SendExecutor}. */
export const SEND_EXECUTOR = Symbol('SendExecutor');

/** Runs the batch as one named statement on connections of its own, so that no slow read delays a send. */
@Injectable()
export class PostgresSendExecutor implements SendExecutor {
  private readonly sessions: HotSessions;
  private readonly patient: HotSessions;

  constructor({ url }: Database) {
    this.sessions = new HotSessions(url, { max: MAX_FLIGHTS + MAX_HELD_UP, lockTimeoutMs: FLIGHT_LOCK_MS });
    this.patient = new HotSessions(url, { max: MAX_PATIENT, lockTimeoutMs: PATIENCE_MS, idleMs: PATIENT_IDLE_MS });
  }

  async execute(sends: MessageSend[], patiently = false): Promise<SendOutcome[]> {
    const sessions = patiently ? this.patient : this.sessions;
    return sendOutcomes(sends, await sessions.rows(sendStatement(sends)));
  }

  async close(): Promise<void> {
    await Promise.all([this.sessions.close(), this.patient.close()]);
  }
}

/**
 * Group commit: sends that arrive while a flight is under way wait for it and go together in the next. A lone send goes
 * at once, with no timer, so it pays what a commit of its own would. A second flight leaves before the first is back
 * only when enough sends wait to be worth a commit, and never with a room of the first: what arrives for such a room is
 * parked until its flight is back, so the order of arrival is the order of seqs in a room. A flight that is held up, by a
 * room that somebody else holds, keeps no other from leaving; after a second it goes on without the sends into that room,
 * which are waited with on their own for five more. At most 10,000 sends wait; beyond that new ones are refused, none is
 * dropped.
 */
@Injectable()
export class MessageWriter implements OnApplicationShutdown {
  /** How many sends wait for a flight. */
  depth = 0;
  /** Sends into rooms that are in no flight, in order of arrival. */
  private waiting: Waiting[] = [];
  /** Rooms in flight, with what arrived for them since, in order of arrival. */
  private readonly parked = new Map<string, Waiting[]>();
  private flights = 0;
  private heldUp = 0;
  private patient = 0;
  private arrived = 0;
  /** Whether the last flight had company: then the next arrivals come in a burst, and it pays to take all of one turn. */
  private crowded = false;

  constructor(
    @Inject(SEND_EXECUTOR) private readonly executor: SendExecutor,
    private readonly hub: Hub,
    private readonly events: EventLog,
  ) {}

  /** Resolves with the outcome once it is committed; a 503 that says so when the outcome is unknown. */
  send(send: MessageSend): Promise<SendOutcome> {
    if (this.depth >= MAX_WAITING) {
      return Promise.reject(unavailable('Too many messages are waiting to be stored'));
    }
    return new Promise((resolve, reject) => {
      const item = { place: ++this.arrived, send, resolve, reject };
      this.depth++;
      (this.parked.get(send.roomId) ?? this.waiting).push(item);
      if (this.flights > this.heldUp || !this.crowded) this.launch();
      else if (this.waiting.length === 1) setImmediate(() => this.launch());
    });
  }

  async onApplicationShutdown(): Promise<void> {
    await this.executor.close();
  }

  /** Starts the flights there is reason for. */
  private launch(): void {
    for (;;) {
      const others = this.flights - this.heldUp;
      if (others >= MAX_FLIGHTS || this.waiting.length < (others === 0 ? 1 : WORTH_A_FLIGHT)) return;
      void this.fly(this.takeBatch());
    }
  }

  private async fly(batch: Waiting[]): Promise<void> {
    this.flights++;
    this.crowded = batch.length >= CROWD;
    const stored = this.store(batch);
    let heldUp = false;
    const watch = setTimeout(() => {
      if (this.heldUp === MAX_HELD_UP) return;
      heldUp = true;
      this.heldUp++;
      this.launch();
    }, HELD_UP_MS);
    const held = await stored;
    clearTimeout(watch);
    if (heldUp) this.heldUp--;
    this.flights--;
    this.land(batch, new Set(held.map(({ room }) => room[0]!.send.roomId)));
    for (const one of held) void this.waitFor(one);
    this.launch();
  }

  /** The room stays in flight, so that what arrives for it comes after these. */
  private async waitFor({ room, fault }: Held): Promise<void> {
    if (this.patient < MAX_PATIENT) {
      this.patient++;
      const [left] = await this.store(room, true);
      this.patient--;
      if (left) this.giveUp(left);
    } else {
      for (const item of room) item.reject(failureOf(fault));
    }
    this.land(room);
    this.launch();
  }

  /** What has arrived for the room meanwhile would wait in vain too, and keep the places of sends into others. */
  private giveUp({ room, fault }: Held): void {
    const { roomId } = room[0]!.send;
    const since = this.parked.get(roomId)!;
    this.parked.set(roomId, []);
    this.depth -= since.length;
    for (const item of [...room, ...since]) item.reject(failureOf(fault));
  }

  /** The oldest sends, whose rooms are in flight from now on. */
  private takeBatch(): Waiting[] {
    const batch: Waiting[] = [];
    const named = new Set<string>();
    let taken = 0;
    for (; taken < this.waiting.length && batch.length < MAX_BATCH; taken++) {
      const item = this.waiting[taken]!;
      const { clientId, roomId, senderId, clientMessageId } = item.send;
      if (!this.parked.has(roomId)) this.parked.set(roomId, []);
      const name = clientMessageId === null ? undefined : `${clientId} ${roomId} ${senderId} ${clientMessageId}`;
      // A resend of one that is in the batch waits for the next, which will find the first.
      if (name !== undefined && named.has(name)) this.parked.get(roomId)!.push(item);
      else batch.push(item);
      if (name !== undefined) named.add(name);
    }
    this.depth -= batch.length;
    this.waiting = this.waiting.slice(taken).filter((item) => {
      const parked = this.parked.get(item.send.roomId);
      parked?.push(item);
      return parked === undefined;
    });
    return batch;
  }

  /** Frees the rooms of a flight; what was parked for them waits in the order of arrival, so that no room overtakes others. */
  private land(batch: Waiting[], but: ReadonlySet<string> = NO_ROOMS): void {
    const freed: Waiting[] = [];
    for (const { send } of batch) {
      const parked = this.parked.get(send.roomId);
      if (!parked || but.has(send.roomId)) continue;
      this.parked.delete(send.roomId);
      for (const item of parked) freed.push(item);
    }
    if (freed.length > 0) this.waiting = [...freed, ...this.waiting].sort((a, b) => a.place - b.place);
  }

  /** Stores a batch and answers everyone in it but those it resolves with, whose room somebody holds; never rejects. */
  private async store(batch: Waiting[], patiently = false): Promise<Held[]> {
    for (let run = 1; ; run++) {
      try {
        const sends = batch.map((item) => item.send);
        const outcomes = await this.executor.execute(sends, patiently);
        this.hub.changed(...sends.flatMap(({ clientId }, index) => messageChange(clientId, outcomes[index]!)));
        if (outcomes.some(({ logged }) => logged)) this.events.committed();
        batch.forEach((item, index) => item.resolve(outcomes[index]!));
        return [];
      } catch (error) {
        if (isRetryable(error) && run < MAX_RUNS) continue;
        const rooms = byRoom(batch);
        // PostgreSQL refused the statement, so nothing of it is stored: what is not at fault is stored without the rest.
        if (isStatementFault(error)) {
          if (rooms.length > 1) return (await Promise.all(rooms.map((room) => this.store(room)))).flat();
          if (isLockTimeout(error)) return [{ room: batch, fault: error }];
          if (batch.length > 1) return this.storeInTurn(batch, patiently);
        }
        for (const item of batch) item.reject(failureOf(error));
        return [];
      }
    }
  }

  /** Stores the sends of one room one after another: one bad row fails alone, and nothing overtakes what has to wait. */
  private async storeInTurn(room: Waiting[], patiently: boolean): Promise<Held[]> {
    for (const [index, item] of room.entries()) {
      const [held] = await this.store([item], patiently);
      if (held) return [{ ...held, room: room.slice(index) }];
    }
    return [];
  }
}

function byRoom(batch: Waiting[]): Waiting[][] {
  const rooms = new Map<string, Waiting[]>();
  for (const item of batch) {
    const room = rooms.get(item.send.roomId);
    if (room) room.push(item);
    else rooms.set(item.send.roomId, [item]);
  }
  return [...rooms.values()];
}

/** The change a send made, if it made one. */
export function messageChange(clientId: string, { message }: SendOutcome): RoomChange[] {
  if (!message) return [];
  const { room_id: roomId, seq, created_at: timestamp } = message;
  return [{ clientId, roomId, seq, frame: { type: 'message', room_id: roomId, seq, data: message, timestamp } }];
}

function failureOf(error: unknown): unknown {
  if (error instanceof ApiError) return error;
  if (error instanceof NoConnection)
    return unavailable('The database is not reachable; the message was not sent', error.cause);
  if (isStatementFault(error)) return classify(error);
  return unavailable(
    'Whether the message was stored is unknown; send it again with the same client_message_id, which cannot make a second one',
    error,
  );
}
