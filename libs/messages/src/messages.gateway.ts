import type { Answer } from '#libs/common';
import { Command, CommandData, Gateway } from '#libs/realtime';
import { Caller, Limit, Scopes, type Principal } from '#libs/security';
import { DeleteMessageCommandDto, EditMessageCommandDto, MessageDeletedDto } from './message-command.dto.js';
import { MessageCreateDto, MessageDto } from './message.dto.js';
import { MessagesService } from './messages.service.js';

/** Commands about messages: what REST does, counted in the same limit. */
@Gateway()
@Limit('messages')
export class MessagesGateway {
  constructor(private readonly messages: MessagesService) {}

  /** Send a message; with a client_message_id a resend answers the first. */
  @Command('send_message', MessageDto)
  @Scopes('messages:write')
  send(@Caller() caller: Principal, @CommandData() data: MessageCreateDto): Promise<Answer<MessageDto>> {
    return this.messages.send(caller, data);
  }

  /** Edit a message. */
  @Command('edit_message', MessageDto)
  @Scopes('messages:write')
  edit(@Caller() caller: Principal, @CommandData() data: EditMessageCommandDto): Promise<MessageDto> {
    return this.messages.update(caller, data.message_id.toLowerCase(), data);
  }

  /** Delete a message. */
  @Command('delete_message', MessageDeletedDto)
  @Scopes('messages:write')
  async remove(@Caller() caller: Principal, @CommandData() data: DeleteMessageCommandDto): Promise<MessageDeletedDto> {
    const messageId = data.message_id.toLowerCase();
    await this.messages.remove(caller, messageId);
    return { message_id: messageId };
  }
}
