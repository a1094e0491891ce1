import { Controller, Get } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Returns } from '#libs/common';
import { Caller, Limit, Scopes, type Principal } from '#libs/security';
import { ConnectionDetails } from './connection-details.js';
import { WebsocketOpenDto } from './websocket.dto.js';

/** The real-time channel's address. */
@ApiTags('Real time')
@Controller('websocket')
export class WebsocketController {
  constructor(private readonly details: ConnectionDetails) {}

  /**
   * Open the real-time channel: with an upgrade the plain WebSocket itself, without one where and with which one-time
   * ticket to connect. Reconnecting clients ask for this, so it counts in no rate limit.
   */
  @Get('open')
  @Scopes('messages:read')
  @Limit('none')
  @Returns(WebsocketOpenDto)
  open(@Caller() caller: Principal): WebsocketOpenDto {
    return this.details.of(caller);
  }
}
