import { Injectable, Logger } from '@nestjs/common';
import type { Frame } from '#libs/contracts';

/** A committed change of a room's conversation. */
export interface RoomChange {
  clientId: string;
  roomId: string;
  seq: number;
  frame: Frame;
}

/** A frame without a number, to everyone in a room. */
export interface RoomTelling {
  clientId: string;
  roomId: string;
  frame: Frame;
  /** Not to the sockets of this user. */
  exceptUserId?: string;
}

/** What the hub passes on. */
export interface HubListener {
  changed(changes: RoomChange[]): void;
  told(telling: RoomTelling): void;
  erased(clientId: string, roomId: string): void;
}

/**
 * Where features say what they have committed, and the channel hears of it. Call it after the commit only. It never
 * throws: what is committed is committed, and a listener that failed finds it in the database.
 */
@Injectable()
export class Hub {
  private readonly logger = new Logger('Hub');
  private readonly listeners: HubListener[] = [];

  /** Registers a listener; called while modules start. */
  listen(listener: HubListener): void {
    this.listeners.push(listener);
  }

  /** Changes of conversations, those of one commit together. */
  changed(...changes: RoomChange[]): void {
    if (changes.length > 0) this.each((listener) => listener.changed(changes));
  }

  /** Something of the moment: typing, a read cursor. */
  told(telling: RoomTelling): void {
    this.each((listener) => listener.told(telling));
  }

  /** The room is gone. */
  erased(clientId: string, roomId: string): void {
    this.each((listener) => listener.erased(clientId, roomId));
  }

  private each(tell: (listener: HubListener) => void): void {
    for (const listener of this.listeners) {
      try {
        tell(listener);
      } catch (error) {
        // The kind only: a message may quote what was sent.
        this.logger.error(`A listener failed: ${error instanceof Error ? error.name : 'unknown'}`);
      }
    }
  }
}
