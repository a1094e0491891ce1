import { Injectable } from '@nestjs/common';
import { SecretBox } from '#libs/security';

const MAX_KEPT = 10_000;

interface Opened {
  sealed: Buffer;
  plain: string;
}

/** Secrets of endpoints in the clear, kept for as long as the sealed bytes stay the same. */
@Injectable()
export class OpenedSecrets {
  private readonly kept = new Map<string, Opened>();

  constructor(private readonly box: SecretBox) {}

  /** The secrets that sign now, the newest first. */
  of(webhookId: string, secret: Buffer, previous: Buffer | null): string[] {
    const current = this.open(webhookId, secret);
    return previous === null ? [current] : [current, this.open(`${webhookId} before`, previous)];
  }

  private open(name: string, sealed: Buffer): string {
    const known = this.kept.get(name);
    if (known?.sealed.equals(sealed)) return known.plain;
    const plain = this.box.open(sealed);
    if (this.kept.size >= MAX_KEPT) this.kept.clear();
    this.kept.set(name, { sealed, plain });
    return plain;
  }
}
