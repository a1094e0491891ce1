/** What one process tells the others of a room. */
export type RoomWord =
  | { kind: 'changes'; clientId: string; roomId: string; frames: WireFrame[] }
  | { kind: 'told'; clientId: string; roomId: string; frame: WireFrame; exceptUserId?: string }
  | { kind: 'erased'; clientId: string; roomId: string };

/** What one process tells the others of a tenant. */
export type ClientWord =
  | { kind: 'joined'; clientId: string; roomId: string; frame: WireFrame }
  | { kind: 'users'; clientId: string; userIds: string[]; frame: WireFrame; exceptRoomId?: string }
  | { kind: 'presence'; clientId: string; roomIds: string[]; frame: WireFrame; exceptUserId: string };

/** A frame as it travels: already JSON, so that no process encodes it again. */
export interface WireFrame {
  type: string;
  seq: number;
  json: string;
  memberId?: string;
}

/** Who hears what other processes say. */
export interface BrokerListener {
  roomWord(word: RoomWord): void;
  clientWord(word: ClientWord): void;
  /** Words may have been missed; from now on they are heard. */
  caughtUp(): void;
}

/** The way to the other processes. Losing a word is allowed: the database has every change. */
export interface Broker {
  /** Whether there may be other processes. */
  readonly shared: boolean;
  /** Whether words get through now. */
  readonly live: boolean;
  start(listener: BrokerListener): Promise<void>;
  stop(): Promise<void>;
  say(word: RoomWord | ClientWord): void;
  /** Resolves when words of the room are heard, or cannot be for now. */
  watchRoom(roomKey: string): Promise<void>;
  unwatchRoom(roomKey: string): void;
  watchClient(clientId: string): Promise<void>;
  unwatchClient(clientId: string): void;
}

/** Injection token of the {@link Broker}. */
export const BROKER = Symbol('Broker');

/** One process alone: there is nobody to tell. */
export class LoneBroker implements Broker {
  readonly shared = false;
  readonly live = true;

  start(): Promise<void> {
    return Promise.resolve();
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  say(): void {
    // Nobody is there.
  }

  watchRoom(): Promise<void> {
    return Promise.resolve();
  }

  unwatchRoom(): void {
    // Nothing was watched.
  }

  watchClient(): Promise<void> {
    return Promise.resolve();
  }

  unwatchClient(): void {
    // Nothing was watched.
  }
}
