import { Body, Controller, Delete, Get, Param, Post, Put, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Returns, ReturnsNothing, ReturnsPage, type Answer, type Page } from '#libs/common';
import { Caller, ClientScopes, Idempotent, Scopes, type Principal } from '#libs/security';
import { RoomCreateDto, RoomDto, RoomListAllQueryDto, RoomListQueryDto, RoomUpdateDto } from './room.dto.js';
import { RoomsService } from './rooms.service.js';

/** Rooms. */
@ApiTags('Rooms')
@Controller('rooms')
export class RoomsController {
  constructor(private readonly rooms: RoomsService) {}

  /** Create a room; a direct room that exists for the pair is answered with 200. */
  @Post()
  @Scopes('rooms:write')
  @Idempotent()
  @Returns(RoomDto, { status: 201, alsoStatus: 200, errors: ['ROOM_FULL', 'RESOURCE_NOT_FOUND'] })
  create(@Caller() caller: Principal, @Body() body: RoomCreateDto): Promise<Answer<RoomDto>> {
    return this.rooms.create(caller, body);
  }

  /** List the user's rooms. */
  @Get()
  @Scopes('rooms:read')
  @ReturnsPage(RoomDto)
  list(@Caller() caller: Principal, @Query() query: RoomListQueryDto): Promise<Page<RoomDto>> {
    return this.rooms.list(caller, query);
  }

  /** List all rooms of the client. */
  @Get('all')
  @ClientScopes('rooms:read')
  @ReturnsPage(RoomDto)
  listAll(@Caller() caller: Principal, @Query() query: RoomListAllQueryDto): Promise<Page<RoomDto>> {
    return this.rooms.listAll(caller, query);
  }

  /** Get a room. */
  @Get(':room_id')
  @Scopes('rooms:read')
  @Returns(RoomDto)
  get(@Caller() caller: Principal, @Param('room_id') roomId: string): Promise<RoomDto> {
    return this.rooms.get(caller, roomId);
  }

  /** Update a room. */
  @Put(':room_id')
  @Scopes('rooms:write')
  @Returns(RoomDto)
  update(@Caller() caller: Principal, @Param('room_id') roomId: string, @Body() body: RoomUpdateDto): Promise<RoomDto> {
    return this.rooms.update(caller, roomId, body);
  }

  /** Erase a room with its messages. */
  @Delete(':room_id')
  @Scopes('rooms:write')
  @ReturnsNothing()
  remove(@Caller() caller: Principal, @Param('room_id') roomId: string): Promise<void> {
    return this.rooms.remove(caller, roomId);
  }
}
