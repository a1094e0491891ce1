import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openDataDirectory } from '#libs/database';

const ID_BYTES = 4;
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** AES-256-GCM encryption at rest. The first key encrypts; every key decrypts, found by its stored id. */
export class SecretBox {
  private readonly keys: { id: Buffer; key: Buffer }[];

  constructor(keys: readonly Buffer[]) {
    this.keys = keys.map((key) => ({ key, id: createHash('sha256').update(key).digest().subarray(0, ID_BYTES) }));
  }

  /** Ids of the keys that only decrypt; what one of them sealed begins with its id. */
  get olderKeyIds(): Buffer[] {
    return this.keys.slice(1).map(({ id }) => id);
  }

  /** key id (4 bytes) · nonce (12) · tag (16) · ciphertext. */
  seal(plain: string): Buffer {
    const { id, key } = this.keys[0]!;
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv('aes-256-gcm', key, iv);
    const text = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()]);
    return Buffer.concat([id, iv, cipher.getAuthTag(), text]);
  }

  /** The plain text; throws when the key is gone or the bytes were changed. */
  open(sealed: Buffer): string {
    const id = sealed.subarray(0, ID_BYTES);
    const found = this.keys.find((candidate) => candidate.id.equals(id));
    if (!found) throw new Error('No encryption key matches this secret');
    const iv = sealed.subarray(ID_BYTES, ID_BYTES + IV_BYTES);
    const decipher = createDecipheriv('aes-256-gcm', found.key, iv);
    decipher.setAuthTag(sealed.subarray(ID_BYTES + IV_BYTES, ID_BYTES + IV_BYTES + TAG_BYTES));
    return (
      decipher.update(sealed.subarray(ID_BYTES + IV_BYTES + TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
    );
  }
}

/** The generated key of the embedded default: made once, kept in the data directory, readable by its owner only. */
export async function generatedKey(dataDir: string): Promise<Buffer> {
  const file = join(dataDir, 'encryption.key');
  if (!existsSync(file)) {
    await openDataDirectory(dataDir);
    writeFileSync(file, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600, flag: 'wx' });
  }
  const key = Buffer.from(readFileSync(file, 'utf8').trim(), 'base64');
  if (key.length !== 32) throw new Error(`${file} does not hold 32 bytes in base64`);
  return key;
}
