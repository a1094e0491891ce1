import { Controller, Get, Param } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Returns } from '#libs/common';
import { Caller, Scopes, type Principal } from '#libs/security';
import { RoomOnlineDto } from './room-online.dto.js';
import { RoomPresenceService } from './room-presence.service.js';

/** Who is there now. */
@ApiTags('Rooms')
@Controller('rooms/:room_id')
export class RoomPresenceController {
  constructor(private readonly presence: RoomPresenceService) {}

  /** Get the members of a room who are online. */
  @Get('online')
  @Scopes('rooms:read')
  @Returns(RoomOnlineDto)
  online(@Caller() caller: Principal, @Param('room_id') roomId: string): Promise<RoomOnlineDto> {
    return this.presence.online(caller, roomId);
  }
}
