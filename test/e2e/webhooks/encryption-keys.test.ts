import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { it } from 'node:test';
import { ResealSecretsProcessor } from '#libs/composition';
import { aTenant, startApi, type TestApi } from '../../support/api.js';
import { anOwnDatabase } from '../../support/own-database.js';
import { aWebhook } from '../../support/webhooks.js';

it('Signing secrets survive a change of ENCRYPTION_KEY after which the old key is gone', async (t) => {
  const database = await anOwnDatabase();
  const started: TestApi[] = [];
  t.after(async () => {
    for (const api of started) await api.stop();
    await database.drop();
  });
  const [old, fresh] = [randomBytes(32), randomBytes(32)].map((key) => key.toString('base64'));
  const start = async (keys: string) => {
    const api = await startApi({ ENCRYPTION_KEY: keys }, database.url);
    started.push(api);
    return api;
  };
  const before = await start(old!);
  const tenant = await aTenant(before);
  const webhook = await aWebhook(tenant);
  const rotate = () => before.call('POST', `/webhooks/${webhook.id}/rotate-secret`, { key: tenant.key, body: {} });
  const { secret } = (await rotate()).body.data;
  const shown = async (api = before) => {
    const read = (path: string) => api.call('GET', path, { key: tenant.key });
    const answers = [await read(`/webhooks/${webhook.id}/secret`), await read('/notifications/webhook-secret')];
    return answers.map((answer) => answer.body.data?.secret as unknown);
  };
  const [ofWebhook, ofNotifications] = await shown();
  assert.equal(ofWebhook, secret);
  const changing = await start(`${fresh!},${old!}`);
  await changing.app.get(ResealSecretsProcessor, { strict: false }).run();
  const changed = await start(fresh!);
  assert.deepEqual(await shown(changed), [secret, ofNotifications]);
  const [row] = await changed.database.query<{ same: boolean }>(
    `SELECT substring(previous_secret FROM 1 FOR 4) = substring(secret FROM 1 FOR 4) AS same FROM webhook_endpoints
     WHERE client_id = $1`,
    [tenant.id],
  );
  assert(row!.same, 'the secret before it is sealed by the new key, too');
  // Whatever is sealed and stays: a column that is added has to be among those that are sealed again.
  const columns = await changed.database.query<{ name: string }>(
    `SELECT table_name || '.' || column_name AS name FROM information_schema.columns
     WHERE table_schema = 'public' AND data_type = 'bytea' ORDER BY 1`,
  );
  assert.deepEqual(
    columns.map(({ name }) => name),
    [
      'api_keys.hash',
      'email_providers.config',
      'idempotency_records.body_hash',
      'idempotency_records.response',
      'notification_secrets.secret',
      'webhook_endpoints.previous_secret',
      'webhook_endpoints.secret',
    ],
  );
});
