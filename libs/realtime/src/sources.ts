import { Injectable } from '@nestjs/common';
import type { Frame } from '#libs/contracts';
import type { Principal } from '#libs/security';

/** A room of a user with its latest number. */
export interface MemberRoom {
  roomId: string;
  seq: number;
  /** The number of the user's own joining. */
  since: number;
}

/** A room and its latest number. */
export interface RoomPosition {
  clientId: string;
  roomId: string;
  seq: number;
}

/** What the channel asks of the feature that keeps rooms and members. */
export interface RoomsSource {
  /** The rooms a user is in now. */
  roomsOf(clientId: string, userIds: string[]): Promise<Map<string, MemberRoom[]>>;
  /** Numbers of rooms; one that is gone is not among them. */
  positions(rooms: { clientId: string; roomId: string }[]): Promise<RoomPosition[]>;
  /** Which of the users are in the room. */
  membersAmong(clientId: string, roomId: string, userIds: string[]): Promise<string[]>;
  /** Users who share a room with a user, itself included; at most `limit` memberships are looked at. */
  companionsOf(clientId: string, userId: string, limit: number): Promise<string[]>;
  /** Throws what REST answers when the caller may not read the room. */
  requireAccess(caller: Principal, roomId: string): Promise<void>;
  /** Keeps when a user was last connected. */
  seen(clientId: string, userId: string, at: Date): Promise<void>;
}

/** What the channel asks of the feature that keeps messages. */
export interface ChangesSource {
  /** Changes of a room after a seq, in order, at most `limit`. */
  changes(clientId: string, roomId: string, afterSeq: number, limit: number): Promise<Frame[]>;
}

/** Where the features hand in what the channel reads; it is platform and knows none of them. */
@Injectable()
export class Sources {
  private roomsSource: RoomsSource | undefined;
  private changesSource: ChangesSource | undefined;

  /** Called once, while modules start. */
  provideRooms(source: RoomsSource): void {
    this.roomsSource = source;
  }

  /** Called once, while modules start. */
  provideChanges(source: ChangesSource): void {
    this.changesSource = source;
  }

  get rooms(): RoomsSource {
    if (!this.roomsSource) throw new Error('No feature provides rooms');
    return this.roomsSource;
  }

  get changes(): ChangesSource {
    if (!this.changesSource) throw new Error('No feature provides changes');
    return this.changesSource;
  }
}
