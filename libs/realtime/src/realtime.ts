import { Injectable } from '@nestjs/common';
import type { Frame } from '#libs/contracts';

/** What other features may ask of the channel: frames to people, and who is there. */
@Injectable()
export class Realtime {
  /** Sends a frame to the live sockets of users, on any process; answers the ids of those who are online. */
  toUsers(_clientId: string, _userIds: string[], _frame: Frame): Promise<string[]> {
    return Promise.resolve([]);
  }

  /** Sends a frame to the sockets subscribed to a room, on any process; answers the ids of the members who are online. */
  toRoom(_clientId: string, _roomId: string, _frame: Frame): Promise<string[]> {
    return Promise.resolve([]);
  }

  /** Which of the users are online, on any process. */
  online(_clientId: string, _userIds: string[]): Promise<string[]> {
    return Promise.resolve([]);
  }
}
