import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Database } from '#libs/database';
import { EventLog } from '#libs/events';
import { Scheduler } from '#libs/jobs';
import { toRoomDto } from '../room.mapper.js';
import { RoomsRepository } from '../rooms.repository.js';

/** Puts rooms to rest that nobody wrote in: direct 90 days, group 30, channel 180, support 7. Looks every 10 minutes. */
@Injectable()
export class DeactivateQuietRoomsProcessor implements OnModuleInit {
  constructor(
    private readonly scheduler: Scheduler,
    private readonly database: Database,
    private readonly repository: RoomsRepository,
    private readonly events: EventLog,
  ) {}

  onModuleInit(): void {
    this.scheduler.register({ name: 'deactivate-quiet-rooms', everySeconds: 600, run: () => this.run() });
  }

  /** Works in small commits, so that it never holds many rooms. */
  async run(): Promise<void> {
    while ((await this.deactivate()) > 0);
  }

  private deactivate(): Promise<number> {
    return this.database.run(async (tx) => {
      const rooms = await this.repository.deactivateQuiet(tx);
      await this.events.addAll(
        tx,
        rooms.map((row) => ({ clientId: row.client_id, event: 'room.updated', roomId: row.id, data: toRoomDto(row) })),
      );
      return rooms.length;
    });
  }
}
