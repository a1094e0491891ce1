import { Injectable } from '@nestjs/common';
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

/** Where features say what they have committed, and the channel hears of it. Call it after the commit only. */
@Injectable()
export class Hub {
  private readonly listeners: HubListener[] = [];

  /** Registers a listener; called while modules start. */
  listen(listener: HubListener): void {
    this.listeners.push(listener);
  }

  /** Changes of conversations, those of one commit together. */
  changed(...changes: RoomChange[]): void {
    if (changes.length > 0) for (const listener of this.listeners) listener.changed(changes);
  }

  /** Something of the moment: typing, a read cursor. */
  told(telling: RoomTelling): void {
    for (const listener of this.listeners) listener.told(telling);
  }

  /** The room is gone. */
  erased(clientId: string, roomId: string): void {
    for (const listener of this.listeners) listener.erased(clientId, roomId);
  }
}
