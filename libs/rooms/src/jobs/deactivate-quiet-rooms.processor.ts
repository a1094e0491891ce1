import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Scheduler } from '#libs/jobs';
import { RoomsRepository } from '../rooms.repository.js';

/** Puts rooms to rest that nobody wrote in: direct 90 days, group 30, channel 180, support 7. Looks every 10 minutes. */
@Injectable()
export class DeactivateQuietRoomsProcessor implements OnModuleInit {
  constructor(
    private readonly scheduler: Scheduler,
    private readonly repository: RoomsRepository,
  ) {}

  onModuleInit(): void {
    this.scheduler.register({ name: 'deactivate-quiet-rooms', everySeconds: 600, run: () => this.run() });
  }

  /** Works in small commits, so that it never holds many rooms. */
  async run(): Promise<void> {
    while ((await this.repository.deactivateQuiet()) > 0);
  }
}
