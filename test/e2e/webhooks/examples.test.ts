import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { aMessage, aRoom, aUser, call } from '../../support/api.js';
import { until } from '../../support/concurrency.js';
import { freePort } from '../../support/free-port.js';
import { aTestDelivery, aWebhook, aWebhookStage, type WebhookStage } from '../../support/webhooks.js';

const EXAMPLES: Record<string, { command: string; args: (port: number) => string[] }> = {
  'webhook-receiver.mjs': { command: process.execPath, args: () => ['examples/webhook-receiver.mjs'] },
  'webhook-receiver.py': { command: 'python3', args: () => ['examples/webhook-receiver.py'] },
  'webhook-receiver.php': {
    command: 'php',
    args: (port) => ['-S', `127.0.0.1:${port}`, 'examples/webhook-receiver.php'],
  },
};

describe('The example receivers', () => {
  let stage: WebhookStage;
  const children: ChildProcess[] = [];
  before(async () => {
    stage = await aWebhookStage();
  });
  after(async () => {
    for (const child of children) child.kill('SIGKILL');
    await stage.stop();
  });

  for (const [name, { command, args }] of Object.entries(EXAMPLES)) {
    const missing = spawnSync(command, ['--version']).status !== 0;
    it(
      `${name} takes what is genuine and refuses the rest`,
      { skip: missing && `${command} is not installed` },
      async () => {
        const port = await freePort();
        const url = `http://127.0.0.1:${port}/`;
        const { tenant, settled } = stage;
        const { id, secret } = await aWebhook(tenant, { url, events: ['message.created'] });
        const env = { ...process.env, WEBHOOK_SECRET: secret, PORT: String(port) };
        const child = spawn(command, args(port), { env, stdio: ['ignore', 'pipe', 'pipe'] });
        children.push(child);
        let output = '';
        child.stdout!.setEncoding('utf8').on('data', (text: string) => (output += text));
        child.stderr!.setEncoding('utf8').on('data', (text: string) => (output += text));
        await until(`${name} listens`, async () => {
          assert.equal(child.exitCode, null, output);
          return (await call(url, 'POST', { body: {} }).catch(() => undefined))?.status === 401;
        });

        const owner = await aUser(tenant);
        const message = await aMessage(tenant, owner, await aRoom(tenant, owner), 'Grüße 🐘');
        await until(`${name} takes the event`, () => /^message\.created evt_/m.test(output));
        const list = await stage.ask('GET', `/webhooks/${id}/deliveries?event=message.created`);
        const delivery = list.body.data[0];
        assert.ok(output.includes(`message.created ${delivery.event_id}`), message.id);
        assert.equal((await settled(id, delivery.id, 'sent')).attempts[0].status_code, 204);

        await stage.ask('POST', `/webhooks/${id}/rotate-secret`, {});
        await settled(id, await aTestDelivery(tenant, id), 'sent');
        await stage.ask('POST', `/webhooks/${id}/rotate-secret`, { grace_seconds: 0 });
        const refused = await settled(id, await aTestDelivery(tenant, id), 'failed');
        assert.ok(refused.attempts.every((one: { status_code: number }) => one.status_code === 401));
      },
    );
  }
});
