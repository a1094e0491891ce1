import { Inject, Injectable, Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { KeyDirectory } from '#libs/security';
import { BROKER, type Broker, type BrokerListener, type ClientWord, type RoomWord } from './broker.js';
import { CatchUp } from './catch-up.js';
import { Channels, unwire } from './channels.js';
import { Bundle, type EncodedFrame } from './encoded-frame.js';
import { Connections } from './connections.js';
import { Hub } from './hub.js';
import { Presence } from './presence.js';
import { Reception } from './reception.js';

/** Joins the hub, the other processes and the rooms heard here. */
@Injectable()
export class Exchange implements BrokerListener, OnModuleInit, OnApplicationShutdown {
  private readonly logger = new Logger('Exchange');
  private reconciling = false;

  constructor(
    @Inject(BROKER) private readonly broker: Broker,
    private readonly hub: Hub,
    private readonly channels: Channels,
    private readonly catchUp: CatchUp,
    private readonly connections: Connections,
    private readonly presence: Presence,
    private readonly reception: Reception,
    private readonly keys: KeyDirectory,
  ) {}

  async onModuleInit(): Promise<void> {
    this.hub.listen(this.channels);
    this.catchUp.start(
      () => this.channels.all(),
      () => void this.reconcile(),
    );
    // The database was away, and may be another since.
    this.keys.onForget((what) => void (what === undefined && this.catchUp.lookAtAll()));
    await this.broker.start(this);
  }

  async onApplicationShutdown(): Promise<void> {
    this.catchUp.stop();
    this.presence.stop();
    await this.broker.stop();
  }

  roomWord(word: RoomWord): void {
    this.channels.roomWord(word);
  }

  clientWord(word: ClientWord): void {
    const frame = unwire(word.frame);
    if (word.kind === 'joined') this.channels.offer(word.clientId, word.roomId, frame);
    else if (word.kind === 'presence') this.presence.hear(word.clientId, word.roomIds, frame, word.exceptUserId);
    else this.toUsers(word.clientId, word.userIds, frame, word.exceptRoomId);
  }

  caughtUp(): void {
    void this.catchUp.lookAtAll();
    void this.reconcile();
  }

  /** A frame to the sockets of users in this process, but for those that hear a room. */
  toUsers(clientId: string, userIds: string[], frame: EncodedFrame, exceptRoomId?: string): void {
    const bundle = new Bundle([frame]);
    const room = exceptRoomId === undefined ? undefined : this.channels.get(clientId, exceptRoomId);
    for (const userId of userIds) {
      for (const connection of this.connections.ofUser(clientId, userId)) {
        if (connection.welcomed && !room?.tells(connection)) connection.enqueue(bundle);
      }
    }
  }

  private async reconcile(): Promise<void> {
    if (this.reconciling) return;
    this.reconciling = true;
    try {
      await this.reception.reconcile();
    } catch {
      this.logger.warn('Memberships of open sockets could not be compared yet');
    } finally {
      this.reconciling = false;
    }
  }
}
