import { Id } from '#libs/common';
import { MessageUpdateDto } from './message.dto.js';

/** Edits a message: which, and what changes. */
export class EditMessageCommandDto extends MessageUpdateDto {
  /** The message. */
  @Id()
  message_id: string;
}

/** Deletes a message. */
export class DeleteMessageCommandDto {
  /** The message. */
  @Id()
  message_id: string;
}

/** The deletion is done. */
export class MessageDeletedDto {
  /** The message that is gone. */
  @Id()
  message_id: string;
}
