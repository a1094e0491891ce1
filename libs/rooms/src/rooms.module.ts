import { Module } from '@nestjs/common';
import { UsersModule } from '#libs/users';
import { DeactivateQuietRoomsProcessor } from './jobs/deactivate-quiet-rooms.processor.js';
import { RoomMembersController } from './room-members.controller.js';
import { RoomMembersRepository } from './room-members.repository.js';
import { RoomMemberships } from './room-memberships.js';
import { RoomMembersService } from './room-members.service.js';
import { RoomPresenceController } from './room-presence.controller.js';
import { RoomPresenceRepository } from './room-presence.repository.js';
import { RoomPresenceService } from './room-presence.service.js';
import { RoomsController } from './rooms.controller.js';
import { RoomsGateway } from './rooms.gateway.js';
import { RoomsRepository } from './rooms.repository.js';
import { RoomsService } from './rooms.service.js';

/** Rooms and who is in them. */
@Module({
  imports: [UsersModule],
  controllers: [RoomsController, RoomMembersController, RoomPresenceController],
  providers: [
    RoomsService,
    RoomMembersService,
    RoomMemberships,
    RoomsRepository,
    RoomMembersRepository,
    RoomPresenceService,
    RoomPresenceRepository,
    RoomsGateway,
    DeactivateQuietRoomsProcessor,
  ],
  exports: [RoomsService],
})
export class RoomsModule {}
