import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import PostalMime from 'postal-mime';
import { call } from '../support/api.js';
import { ApiProcess } from '../support/api-process.js';
import { until } from '../support/concurrency.js';

it('a fresh start with no configuration sends the first mail into a folder, and the notification says so', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'chatapi-first-mail-'));
  const server = await ApiProcess.make({ DATA_DIR: dataDir });
  try {
    await server.start();
    const script = spawn('bash', ['examples/first-chat.sh'], { env: { ...process.env, BASE: server.url } });
    let output = '';
    for (const stream of [script.stdout, script.stderr]) stream.on('data', (part) => (output += part));
    assert.deepEqual(await once(script, 'close'), [0, null], output);
    assert.match(output, /Sent notification [0-9a-f-]{36}/);

    const client = await call(`${server.url}/api/v1/clients`, 'POST', { body: { name: 'First mail' } });
    const key = client.body.data.master_api_key as string;
    const body = {
      type: 'email',
      to_email: 'user@example.com',
      subject: 'Welcome!',
      content: '<h1>Welcome to our platform!</h1>',
    };
    const created = await call(`${server.url}/api/v1/notifications`, 'POST', { key, body });
    assert.equal(created.status, 201, created.text);
    const path = `${server.url}/api/v1/notifications/${created.body.data.id}`;
    await until('it is sent', async () => (await call(path, 'GET', { key })).body.data.status === 'sent');
    const { deliveries } = (await call(path, 'GET', { key })).body.data;
    const files = readdirSync(join(dataDir, 'mail')).filter((file) => file.endsWith('.eml'));
    const mails = await Promise.all(files.map((file) => PostalMime.parse(readFileSync(join(dataDir, 'mail', file)))));
    const mail = mails.find((one) => one.messageId!.includes(deliveries[0].id));
    assert(mail, `the mail is one of ${files.join()}`);
    assert.deepEqual([mail.subject, mail.to![0]!.address], ['Welcome!', 'user@example.com']);
    assert.match(mail.html!, /<h1>Welcome to our platform!<\/h1>/);
    assert.match(mail.text!, /Welcome to our platform!/i);
    await server.stop();
  } finally {
    await server.kill();
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 50, retryDelay: 100 });
  }
});
