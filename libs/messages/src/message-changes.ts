import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Sources } from '#libs/realtime';
import { MessagesRepository } from './messages.repository.js';

/** Hands the real-time channel the feed it resumes from: the one of `GET /rooms/{room_id}/changes`. */
@Injectable()
export class MessageChanges implements OnModuleInit {
  constructor(
    private readonly repository: MessagesRepository,
    private readonly sources: Sources,
  ) {}

  onModuleInit(): void {
    this.sources.provideChanges(this.repository);
  }
}
