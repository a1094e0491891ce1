import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { aNotification, aUser } from '../../support/api.js';
import { startNotifier, untilStatus, type Notifier } from '../../support/notifier.js';

describe('What docs/notifications.md shows', () => {
  let notifier: Notifier;
  before(async () => {
    notifier = await startNotifier();
  });
  after(() => notifier.stop());

  it('runs as it stands', async () => {
    const guide = readFileSync('docs/notifications.md', 'utf8');
    const blocks = [...guide.matchAll(/```bash\n([\s\S]*?)```/g)].map((match) => match[1]!);
    assert(blocks.length >= 7, `${blocks.length} examples`);
    const { tenant, api } = notifier;
    const user = await aUser(tenant);
    const inbox = await aNotification(tenant, { type: 'websocket', content: 'x', user_ids: [user.id] });
    await untilStatus(tenant, inbox.id, 'sent');
    const mail = await aNotification(tenant);
    const script = blocks
      .map((block) =>
        block.replaceAll('http://localhost:8000', api.url).replaceAll('curl', 'curl -sS --fail-with-body'),
      )
      .join('\necho\n');
    const env = {
      ...process.env,
      CLIENT_KEY: tenant.key,
      USER_KEY: user.key,
      USER_ID: user.id,
      NOTIFICATION_ID: mail.id,
      INBOX_ID: inbox.id,
    };
    const child = spawn('bash', ['--norc', '-euo', 'pipefail', '-c', script], { env });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (part) => (output += part));
    assert.deepEqual(await once(child, 'close'), [0, null], output);
    const answers = output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.equal(answers.length, blocks.length);
    assert(answers.every(({ status }) => status === 'success'));
  });
});
