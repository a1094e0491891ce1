import { Injectable } from '@nestjs/common';
import { SecretBox } from '#libs/security';
import { toEmailProvider } from './email-provider.mapper.js';
import { EmailProvidersRepository } from './email-providers.repository.js';
import type { EmailProvider } from './provider-configs.js';

const REMEMBERED_MS = 1_000;
const MAX_CLIENTS = 1_000;

/**
 * The providers of a client, opened. Remembered for a second, so that a burst of mail asks the database once; a change
 * is seen at once in the process that made it, and within that second in others.
 */
@Injectable()
export class ProviderDirectory {
  private readonly known = new Map<string, { until: number; providers: Promise<EmailProvider[]> }>();

  constructor(
    private readonly repository: EmailProvidersRepository,
    private readonly box: SecretBox,
  ) {}

  /** All of a client, oldest first. */
  of(clientId: string): Promise<EmailProvider[]> {
    const found = this.known.get(clientId);
    if (found && found.until > performance.now()) return found.providers;
    this.known.delete(clientId);
    const oldest = this.known.keys().next();
    if (this.known.size >= MAX_CLIENTS && !oldest.done) this.known.delete(oldest.value);
    const providers = this.read(clientId);
    this.known.set(clientId, { until: performance.now() + REMEMBERED_MS, providers });
    providers.catch(() => this.known.delete(clientId));
    return providers;
  }

  /** Forgets what a client's providers were. */
  forget(clientId: string): void {
    this.known.delete(clientId);
  }

  private async read(clientId: string): Promise<EmailProvider[]> {
    return (await this.repository.all(clientId)).map((row) => toEmailProvider(row, this.box));
  }
}
