import { Inject, Injectable } from '@nestjs/common';
import type { Frame } from '#libs/contracts';
import { BROKER, type Broker } from './broker.js';
import { wire } from './channels.js';
import { EncodedFrame } from './encoded-frame.js';
import { Exchange } from './exchange.js';
import { Hub } from './hub.js';
import { Presence } from './presence.js';

/** What other features may ask of the channel: frames to people, and who is there. */
@Injectable()
export class Realtime {
  constructor(
    @Inject(BROKER) private readonly broker: Broker,
    private readonly exchange: Exchange,
    private readonly presence: Presence,
    private readonly hub: Hub,
  ) {}

  /**
   * Sends a frame to the live sockets of users, on any process, but for those that hear the room; answers the ids of those
   * who are online.
   */
  toUsers(clientId: string, userIds: string[], frame: Frame, exceptRoomId?: string): Promise<string[]> {
    const encoded = EncodedFrame.of(frame);
    this.exchange.toUsers(clientId, userIds, encoded, exceptRoomId);
    this.broker.say({ kind: 'users', clientId, userIds, frame: wire(encoded), exceptRoomId });
    return this.presence.among(clientId, userIds);
  }

  /** Sends a frame to the sockets subscribed to a room, on any process; answers the ids of the members who are online. */
  toRoom(clientId: string, roomId: string, frame: Frame): Promise<string[]> {
    this.hub.told({ clientId, roomId, frame });
    return this.presence.inRoom(clientId, roomId);
  }

  /** The members of a room who are online, on any process. */
  onlineIn(clientId: string, roomId: string): Promise<string[]> {
    return this.presence.inRoom(clientId, roomId);
  }
}
