export * from './messages.module.js';
export * from './messages.service.js';
export * from './message-writer.js';
export * from './message.dto.js';
export * from './message.entity.js';
export type { MessageSend, SendOutcome, SendVerdict } from './message-sends.js';
export * from './message-command.dto.js';
