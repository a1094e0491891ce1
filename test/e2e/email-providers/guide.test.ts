import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { EMAIL_FAULTS } from '#libs/notifications';
import { aTenant, startApi } from '../../support/api.js';
import { startMailServer } from '../../support/mail-server.js';

const GUIDE = readFileSync('docs/email-providers.md', 'utf8');

describe('The guide of email providers', () => {
  it('shows calls that work', async () => {
    const server = await startMailServer({ onAuth: (_, __, callback) => callback(null, { user: 'u' }) });
    const api = await startApi({ EGRESS_ALLOWED_CIDRS: '127.0.0.0/8' });
    try {
      const { key } = await aTenant(api);
      const blocks = [...GUIDE.matchAll(/```bash\n([\s\S]*?)```/g)].map(([, block]) => block!);
      assert.equal(blocks.length, 2);
      const script = blocks
        .join('\necho\n')
        .replaceAll('http://localhost:8000', api.url)
        .replace('smtp.example.com', 'localhost')
        .replace('587', String(server.port))
        .replace('starttls', 'none');
      const env = { ...process.env, CLIENT_KEY: key };
      const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', script], { env });
      const [put, validated] = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line));
      assert.equal(put.data.provider_config.password, '****tery');
      assert.equal(validated.data.all_valid, true, stdout);
      assert.equal(server.taken.length, 1);
      assert.deepEqual(server.taken[0]!.envelope, { from: 'support@example.com', to: ['me@example.com'] });
    } finally {
      await api.stop();
      await server.close();
    }
  });

  it('lists every code with what follows from it', () => {
    const listed = [...GUIDE.matchAll(/^\| `(EMAIL_\w+)` \| (\w+) \|/gm)].map(([, code, then]) => [code, then]);
    const known = Object.entries(EMAIL_FAULTS).map(([code, [then]]) => [code, then]);
    assert.deepEqual(listed.sort(), known.sort());
  });
});
