import {
  applyDecorators,
  Catch,
  createParamDecorator,
  SetMetadata,
  UseFilters,
  type ArgumentsHost,
  type ExceptionFilter,
  type ExecutionContext,
  type Type,
} from '@nestjs/common';
import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import type { CommandCall } from './commands.js';

/** Hands what a command threw to whoever answers it. */
@Catch()
export class CommandFilter implements ExceptionFilter {
  catch(thrown: unknown, host: ArgumentsHost): void {
    host.switchToWs().getData<CommandCall>().failure = thrown ?? new Error('Nothing was thrown');
  }
}

/** A class of commands, for both transports. Guards, limits and the DTO pipe are those of REST. */
export const Gateway = (): ClassDecorator =>
  applyDecorators(WebSocketGateway(), UseFilters(CommandFilter)) as ClassDecorator;

/** Metadata key of the DTO class a command is answered with. */
export const COMMAND_ANSWER = 'chatapi:command-answer';

/**
 * A command by its name, and what it is answered with; left out: an empty object. Beside it: `@Scopes`, and `@Limit`
 * when it is not "default".
 */
export const Command = (name: string, answer?: Type): MethodDecorator =>
  applyDecorators(SubscribeMessage(name), SetMetadata(COMMAND_ANSWER, answer));

/** The command's `data`, parsed by the DTO class of the parameter. */
export const CommandData = (): ParameterDecorator => MessageBody('data');

/** The command itself, with its connection. */
export const Call = createParamDecorator((_data: unknown, context: ExecutionContext): CommandCall =>
  context.switchToWs().getData<CommandCall>(),
);
