import { Module } from '@nestjs/common';
import { UsersModule } from '#libs/users';
import { DeactivateQuietRoomsProcessor } from './jobs/deactivate-quiet-rooms.processor.js';
import { RoomMembersController } from './room-members.controller.js';
import { RoomMembersRepository } from './room-members.repository.js';
import { RoomMemberships } from './room-memberships.js';
import { RoomMembersService } from './room-members.service.js';
import { RoomsController } from './rooms.controller.js';
import { RoomsRepository } from './rooms.repository.js';
import { RoomsService } from './rooms.service.js';

/** Rooms and who is in them. */
@Module({
  imports: [UsersModule],
  controllers: [RoomsController, RoomMembersController],
  providers: [
    RoomsService,
    RoomMembersService,
    RoomMemberships,
    RoomsRepository,
    RoomMembersRepository,
    DeactivateQuietRoomsProcessor,
  ],
  exports: [RoomsService],
})
export class RoomsModule {}
