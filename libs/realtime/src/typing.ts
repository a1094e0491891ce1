import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { Frame } from '#libs/contracts';
import { Hub } from './hub.js';
import { Timings } from './timings.js';

/** Who types where. */
export interface Typist {
  clientId: string;
  roomId: string;
  userId: string;
  userName: string;
}

/** Typing is told to the others of the room, and ends by itself. */
@Injectable()
export class Typing implements OnApplicationShutdown {
  private readonly timers = new Map<string, NodeJS.Timeout>();

  constructor(
    private readonly hub: Hub,
    private readonly timings: Timings,
  ) {}

  /** Tells that someone types, or has stopped; stopping without having started tells nothing. */
  set(typist: Typist, isTyping: boolean): void {
    const key = `${typist.roomId}:${typist.userId}`;
    const timer = this.timers.get(key);
    clearTimeout(timer);
    if (!isTyping) {
      if (this.timers.delete(key)) this.tell(typist, false);
      return;
    }
    this.timers.set(
      key,
      setTimeout(() => this.set(typist, false), this.timings.typingMs),
    );
    this.tell(typist, true);
  }

  onApplicationShutdown(): void {
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.timers.clear();
  }

  private tell({ clientId, roomId, userId, userName }: Typist, isTyping: boolean): void {
    const data = { user_id: userId, user_name: userName, is_typing: isTyping };
    const frame: Frame = { type: 'typing', room_id: roomId, data, timestamp: new Date().toISOString() };
    this.hub.told({ clientId, roomId, frame, exceptUserId: userId });
  }
}
