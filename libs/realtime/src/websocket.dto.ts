import { ApiProperty } from '@nestjs/swagger';
import { IsObject } from 'class-validator';
import { Instant, ManyOf, Text } from '#libs/common';

/** Transports of the real-time channel. */
export const TRANSPORTS = ['websocket', 'socketio'] as const;

/** Where Socket.IO connects. */
export class SocketIoDetailsDto {
  /** What to give to `io()`. */
  @Text(1, 2048, { example: 'http://localhost:8000' })
  url: string;

  /** The `path` option. */
  @Text(1, 255, { example: '/socket.io' })
  path: string;
}

/** What a browser needs to connect without putting a key in a URL. */
export class WebsocketOpenDto {
  /** Where plain WebSocket connects; append `?ticket=` and the ticket. */
  @Text(1, 2048, { example: 'ws://localhost:8000/api/v1/websocket/open' })
  url: string;

  /** Stands for the key once, until it expires; for Socket.IO: `auth: {ticket}`. */
  @Text(1, 512, { example: 'Kq3…' })
  ticket: string;

  /** When the ticket ends. */
  @Instant()
  expires_at: string;

  /** Where Socket.IO connects. */
  @ApiProperty({ type: () => SocketIoDetailsDto })
  @IsObject()
  socketio: SocketIoDetailsDto;

  /** The transports this server speaks. */
  @ManyOf(TRANSPORTS)
  protocols: string[];
}
