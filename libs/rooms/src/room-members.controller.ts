import { Body, Controller, Delete, Get, Param, Post, Put, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Returns, ReturnsNothing, ReturnsPage, type Answer, type Page } from '#libs/common';
import { Caller, Idempotent, Scopes, type Principal } from '#libs/security';
import { RoomMembersService } from './room-members.service.js';
import {
  RoomJoinDto,
  RoomLeaveDto,
  RoomMemberDto,
  RoomMemberListQueryDto,
  RoomMembersAddDto,
  RoomMembersAddedDto,
  RoomMemberUpdateDto,
  RoomReadDto,
  RoomReadStateDto,
} from './room-member.dto.js';

/** Who is in a room. */
@ApiTags('Rooms')
@Controller('rooms/:room_id')
export class RoomMembersController {
  constructor(private readonly members: RoomMembersService) {}

  /** Join a room; already in: 200. */
  @Post('join')
  @Scopes('rooms:write')
  @Idempotent()
  @Returns(RoomMemberDto, { status: 201, alsoStatus: 200, bodyOptional: true, errors: ['ROOM_FULL'] })
  join(
    @Caller() caller: Principal,
    @Param('room_id') roomId: string,
    @Body() body: RoomJoinDto,
  ): Promise<Answer<RoomMemberDto>> {
    return this.members.join(caller, roomId, body);
  }

  /** Leave a room. */
  @Post('leave')
  @Scopes('rooms:write')
  @Returns(RoomMemberDto, { bodyOptional: true })
  leave(
    @Caller() caller: Principal,
    @Param('room_id') roomId: string,
    @Body() body: RoomLeaveDto,
  ): Promise<RoomMemberDto> {
    return this.members.leave(caller, roomId, body);
  }

  /** List the members. */
  @Get('members')
  @Scopes('rooms:read')
  @ReturnsPage(RoomMemberDto)
  list(
    @Caller() caller: Principal,
    @Param('room_id') roomId: string,
    @Query() query: RoomMemberListQueryDto,
  ): Promise<Page<RoomMemberDto>> {
    return this.members.list(caller, roomId, query);
  }

  /** Add members: all of them or none. */
  @Post('members')
  @Scopes('rooms:write')
  @Idempotent()
  @Returns(RoomMembersAddedDto, { status: 201, errors: ['ROOM_FULL'] })
  add(
    @Caller() caller: Principal,
    @Param('room_id') roomId: string,
    @Body() body: RoomMembersAddDto,
  ): Promise<RoomMembersAddedDto> {
    return this.members.add(caller, roomId, body);
  }

  /** Change a member's role. */
  @Put('members/:user_id')
  @Scopes('rooms:write')
  @Returns(RoomMemberDto, { errors: ['INVALID_STATE'] })
  setRole(
    @Caller() caller: Principal,
    @Param('room_id') roomId: string,
    @Param('user_id') userId: string,
    @Body() body: RoomMemberUpdateDto,
  ): Promise<RoomMemberDto> {
    return this.members.setRole(caller, roomId, userId, body.role);
  }

  /** Remove a member. */
  @Delete('members/:user_id')
  @Scopes('rooms:write')
  @ReturnsNothing()
  remove(
    @Caller() caller: Principal,
    @Param('room_id') roomId: string,
    @Param('user_id') userId: string,
  ): Promise<void> {
    return this.members.remove(caller, roomId, userId);
  }

  /** Move the caller's read cursor forward. */
  @Post('read')
  @Scopes('rooms:write')
  @Returns(RoomReadStateDto)
  markRead(
    @Caller() caller: Principal,
    @Param('room_id') roomId: string,
    @Body() body: RoomReadDto,
  ): Promise<RoomReadStateDto> {
    return this.members.markRead(caller, roomId, body);
  }
}
