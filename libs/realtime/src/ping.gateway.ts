import { Limit, Scopes } from '#libs/security';
import type { CommandCall } from './commands.js';
import { serverFrame } from './frames.js';
import { Call, Command, Gateway } from './gateway.js';

/** Is anybody there. */
@Gateway()
export class PingGateway {
  /** Answers with a `pong` frame, so that a client can tell a silent line from a dead one. */
  @Command('ping')
  @Scopes('messages:read')
  @Limit('none')
  ping(@Call() call: CommandCall): object {
    call.connection.send(serverFrame('pong', { ref: call.ref ?? null }));
    return {};
  }
}
