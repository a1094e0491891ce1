import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { renderMessage, type MailMessage } from '../mail-message.js';
import type { MailReceipt } from './mail-transport.js';

/** Keeps mail as files instead of sending it: what the embedded default does, so that everything can be tried at once. */
export class MailFolder {
  constructor(private readonly folder: string) {}

  /** Writes `<delivery id>.eml`, whole or not at all; a second attempt replaces the first. */
  async keep(message: MailMessage): Promise<MailReceipt> {
    const file = `${message.deliveryId}.eml`;
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    const draft = join(this.folder, `.${file}.${process.pid}.part`);
    await writeFile(draft, await renderMessage(message), { mode: 0o600 });
    await rename(draft, join(this.folder, file));
    return { providerMessageId: file };
  }
}
