import { Call, Command, CommandData, Gateway, Subscriptions, type CommandCall } from '#libs/realtime';
import { Caller, Limit, Scopes, type Principal } from '#libs/security';
import {
  MarkReadCommandDto,
  RoomCommandDto,
  SubscribeCommandDto,
  SubscribedDto,
  TypingCommandDto,
} from './room-command.dto.js';
import { RoomReadStateDto } from './room-member.dto.js';
import { RoomMembersService } from './room-members.service.js';
import { RoomOnlineDto } from './room-online.dto.js';
import { RoomPresenceService } from './room-presence.service.js';

/** Commands about rooms. What a reconnecting client sends by the dozen counts in no rate limit. */
@Gateway()
export class RoomsGateway {
  constructor(
    private readonly subscriptions: Subscriptions,
    private readonly members: RoomMembersService,
    private readonly presence: RoomPresenceService,
  ) {}

  /** Hear a room, with everything since a number. */
  @Command('subscribe', SubscribedDto)
  @Scopes('messages:read')
  @Limit('none')
  async subscribe(@Call() call: CommandCall, @CommandData() data: SubscribeCommandDto): Promise<object> {
    const { reply, live } = await this.subscriptions.subscribe(
      call.connection,
      data.room_id.toLowerCase(),
      data.after_seq,
    );
    call.afterReply = live;
    return reply;
  }

  /** Stop hearing a room. */
  @Command('unsubscribe')
  @Scopes('messages:read')
  @Limit('none')
  unsubscribe(@Call() call: CommandCall, @CommandData() data: RoomCommandDto): void {
    this.subscriptions.unsubscribe(call.connection, data.room_id.toLowerCase());
  }

  /** Move the caller's read cursor forward. */
  @Command('mark_read', RoomReadStateDto)
  @Scopes('rooms:write')
  markRead(@Caller() caller: Principal, @CommandData() data: MarkReadCommandDto): Promise<RoomReadStateDto> {
    return this.members.markRead(caller, data.room_id.toLowerCase(), data);
  }

  /** Say that the caller types, or has stopped. */
  @Command('typing')
  @Scopes('messages:write')
  @Limit('none')
  typing(@Caller() caller: Principal, @CommandData() data: TypingCommandDto): Promise<void> {
    return this.presence.typing(caller, data.room_id.toLowerCase(), data.is_typing);
  }

  /** Who of a room is online. */
  @Command('get_online_users', RoomOnlineDto)
  @Scopes('rooms:read')
  online(@Caller() caller: Principal, @CommandData() data: RoomCommandDto): Promise<RoomOnlineDto> {
    return this.presence.online(caller, data.room_id.toLowerCase());
  }
}
