import { Body, Controller, Delete, Get, Param, Post, Put, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Returns, ReturnsNothing, ReturnsPage, type Answer, type JsonPage } from '#libs/common';
import { Caller, Idempotent, Limit, Scopes, type Principal } from '#libs/security';
import {
  MessageCreateDto,
  MessageDto,
  MessageListQueryDto,
  MessageUpdateDto,
  RoomChangesDto,
  RoomChangesQueryDto,
} from './message.dto.js';
import { MessagesService } from './messages.service.js';

/** Messages. */
@ApiTags('Messages')
@Limit('messages')
@Controller('messages')
export class MessagesController {
  constructor(private readonly messages: MessagesService) {}

  /** Send a message; a resend with the same client_message_id answers the first with 200. */
  @Post()
  @Scopes('messages:write')
  @Idempotent()
  @Returns(MessageDto, { status: 201, alsoStatus: 200, errors: ['ROOM_INACTIVE', 'RESOURCE_NOT_FOUND'] })
  send(@Caller() caller: Principal, @Body() body: MessageCreateDto): Promise<Answer<MessageDto>> {
    return this.messages.send(caller, body);
  }

  /** List messages of a room, or of every room the key can see. */
  @Get()
  @Scopes('messages:read')
  @ReturnsPage(MessageDto, { errors: ['RESOURCE_NOT_FOUND'] })
  list(@Caller() caller: Principal, @Query() query: MessageListQueryDto): Promise<JsonPage> {
    return this.messages.list(caller, query);
  }

  /** Get a message. */
  @Get(':message_id')
  @Scopes('messages:read')
  @Returns(MessageDto)
  get(@Caller() caller: Principal, @Param('message_id') messageId: string): Promise<MessageDto> {
    return this.messages.get(caller, messageId);
  }

  /** Edit a message; a body that changes nothing leaves it as it is, not marked as edited. */
  @Put(':message_id')
  @Scopes('messages:write')
  @Returns(MessageDto)
  update(
    @Caller() caller: Principal,
    @Param('message_id') messageId: string,
    @Body() body: MessageUpdateDto,
  ): Promise<MessageDto> {
    return this.messages.update(caller, messageId, body);
  }

  /** Delete a message. */
  @Delete(':message_id')
  @Scopes('messages:write')
  @ReturnsNothing()
  remove(@Caller() caller: Principal, @Param('message_id') messageId: string): Promise<void> {
    return this.messages.remove(caller, messageId);
  }
}

/** What changed in a room. */
@ApiTags('Rooms')
@Controller('rooms')
export class RoomChangesController {
  constructor(private readonly messages: MessagesService) {}

  /** Get the changes of a room after a seq, in order. */
  @Get(':room_id/changes')
  @Scopes('messages:read')
  @Returns(RoomChangesDto)
  changes(
    @Caller() caller: Principal,
    @Param('room_id') roomId: string,
    @Query() query: RoomChangesQueryDto,
  ): Promise<RoomChangesDto> {
    return this.messages.changes(caller, roomId, query);
  }
}
