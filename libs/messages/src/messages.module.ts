import { Module } from '@nestjs/common';
import { Database } from '#libs/database';
import { RoomsModule } from '#libs/rooms';
import { MessageChanges } from './message-changes.js';
import { MessageWriter, PostgresSendExecutor, SEND_EXECUTOR } from './message-writer.js';
import { MessagesController, RoomChangesController } from './messages.controller.js';
import { MessagesGateway } from './messages.gateway.js';
import { MessagesRepository } from './messages.repository.js';
import { MessagesService } from './messages.service.js';
import { PAGE_READER, pageSessions, RoomPages } from './room-pages.js';

/** Messages and the group commit that stores them. */
@Module({
  imports: [RoomsModule],
  controllers: [MessagesController, RoomChangesController],
  providers: [
    MessagesService,
    MessagesRepository,
    RoomPages,
    MessageWriter,
    MessageChanges,
    MessagesGateway,
    {
      provide: SEND_EXECUTOR,
      inject: [Database],
      useFactory: (database: Database) => new PostgresSendExecutor(database),
    },
    { provide: PAGE_READER, inject: [Database], useFactory: pageSessions },
  ],
  exports: [MessagesService, MessageWriter],
})
export class MessagesModule {}
