import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { Webhook as SvixWebhook } from 'svix';
import { aMessage, aRoom, aUser } from '../../support/api.js';
import { until } from '../../support/concurrency.js';
import { assertError } from '../../support/errors.js';
import type { Received } from '../../support/receiver.js';
import { aTestDelivery, aWebhook, aWebhookStage, type WebhookStage } from '../../support/webhooks.js';

const LIBRARIES = [StandardWebhook, SvixWebhook];

/** Whether both reference libraries accept the post under the secret; they must agree. */
function accepted(secret: string, got: Received): boolean {
  const verdicts = LIBRARIES.map((Library) => {
    try {
      new Library(secret).verify(got.raw, got.headers);
      return true;
    } catch {
      return false;
    }
  });
  assert.equal(verdicts[0], verdicts[1], 'the reference libraries disagree');
  return verdicts[0]!;
}

const plain = (secret: string, raw: string): string =>
  `sha256=${createHmac('sha256', secret).update(raw).digest('hex')}`;

describe('Webhook deliveries', () => {
  let stage: WebhookStage;
  before(async () => {
    stage = await aWebhookStage();
  });
  after(() => stage.stop());

  it('are signed so that the reference libraries accept them, and nothing that was touched', async () => {
    const { tenant, receiver } = stage;
    const headers = { Authorization: 'Bearer of-the-receiver', 'X-Tenant': 'a b' };
    const { id, secret } = await aWebhook(tenant, { url: receiver.url('/signed?x=1'), custom_headers: headers });
    const owner = await aUser(tenant);
    const room = await aRoom(tenant, owner);
    await aMessage(tenant, owner, room, 'Grüße 🐘 \u0001 \u2028 日本語');
    await until('the message comes', () => receiver.of('message.created').length === 1);
    const got = receiver.of('message.created')[0]!;
    assert.equal(got.path, '/signed?x=1');
    assert.ok(accepted(secret, got));
    assert.equal(got.headers['x-chatapi-signature'], plain(secret, got.raw));
    assert.equal(got.headers['webhook-id'], got.body.meta.delivery_id);
    assert.equal(got.headers['user-agent'], 'ChatAPI-Webhooks/1');
    assert.equal(got.headers['content-type'], 'application/json');
    assert.equal(got.headers['x-chatapi-attempt'], '1');
    assert.deepEqual([got.headers['authorization'], got.headers['x-tenant']], ['Bearer of-the-receiver', 'a b']);
    assert.deepEqual(Object.keys(got.body), ['id', 'event', 'created_at', 'data', 'meta']);
    assert.equal(got.body.data.content, 'Grüße 🐘 \u0001 \u2028 日本語');

    const changed = (change: Partial<Received>) => accepted(secret, { ...got, ...change });
    assert.ok(!changed({ raw: got.raw.replace('Grüße', 'Grüsse') }));
    assert.ok(!changed({ raw: `${got.raw} ` }));
    const old = String(Number(got.headers['webhook-timestamp']) - 600);
    assert.ok(!changed({ headers: { ...got.headers, 'webhook-timestamp': old } }));
    assert.ok(!changed({ headers: { ...got.headers, 'webhook-id': id } }));
    assert.ok(!accepted((await aWebhook(tenant, { is_active: false })).secret, got));
    await stage.ask('DELETE', `/webhooks/${id}`);
  });

  it('are tried on the schedule with the same bytes and id, signed anew each time, and kept with what was answered', async () => {
    const { tenant, receiver } = stage;
    const { id, secret } = await aWebhook(tenant, { url: receiver.url('/flaky'), events: ['user.created'] });
    receiver.answer = (_got, response) => {
      const count = receiver.at('/flaky').length;
      response.writeHead(count < 3 ? 500 : 202, { 'X-Count': String(count), 'content-type': 'text/plain' });
      response.end(count < 3 ? `no\0 ${'x'.repeat(40_000)}` : 'taken');
    };
    const delivery = await aTestDelivery(tenant, id);
    const done = await stage.settled(id, delivery, 'sent');
    const posts = receiver.at('/flaky');
    assert.equal(posts.length, 3);
    assert.equal(new Set(posts.map((one) => one.raw)).size, 1, 'the bytes are the same');
    assert.equal(posts[0]!.body.meta.attempt, 1);
    assert.deepEqual(
      posts.map((one) => one.headers['x-chatapi-attempt']),
      ['1', '2', '3'],
    );
    assert.deepEqual(
      posts.map((one) => one.headers['webhook-id']),
      [delivery, delivery, delivery],
    );
    assert.ok(new Set(posts.map((one) => one.headers['webhook-timestamp'])).size > 1, 'each time has its own');
    for (const post of posts) assert.ok(accepted(secret, post));

    assert.equal(done.attempt_count, 3);
    assert.deepEqual([done.error, done.error_code, done.next_attempt_at], [null, null, null]);
    assert.deepEqual(
      done.attempts.map((one: Received['body']) => [one.attempt_number, one.status, one.status_code]),
      [
        [1, 'failed', 500],
        [2, 'failed', 500],
        [3, 'sent', 202],
      ],
    );
    const [first, , last] = done.attempts;
    assert.equal(first.response_headers['x-count'], '1');
    assert.equal(first.response_body.length, 16_384);
    assert.match(first.response_body, /^no\ufffd xxx/);
    assert.match(first.error, /500/);
    assert.equal(last.response_body, 'taken');
    const webhook = (await stage.ask('GET', `/webhooks/${id}`)).body.data;
    assert.equal(webhook.consecutive_failures, 0);
    assert.ok(Date.parse(webhook.last_delivery_at) <= Date.now());
  });

  it('are given up after the schedule, and can then be sent again one by one or all since an instant', async () => {
    const { tenant, receiver } = stage;
    const { id } = await aWebhook(tenant, { url: receiver.url('/down'), events: ['user.created'] });
    receiver.answer = (_got, response) => response.writeHead(503).end();
    const since = new Date().toISOString();
    const [one, two] = [await aTestDelivery(tenant, id), await aTestDelivery(tenant, id)];
    const failed = await stage.settled(id, one, 'failed');
    await stage.settled(id, two, 'failed');
    assert.equal(failed.attempts.length, 4);
    assert.equal((await stage.ask('GET', `/webhooks/${id}`)).body.data.consecutive_failures, 8);
    const redeliver = (delivery: string) =>
      stage.api.call('POST', `/webhooks/${id}/deliveries/${delivery}/redeliver`, { key: tenant.key });

    receiver.answer = (_got, response) => response.end();
    const again = await redeliver(one);
    assert.equal(again.status, 200, again.text);
    assert.equal(again.body.data.id, one);
    const sent = await stage.settled(id, one, 'sent');
    assert.equal(sent.attempts.length, 5);
    const posts = receiver.at('/down').filter((post) => post.headers['webhook-id'] === one);
    assert.equal(new Set(posts.map((post) => post.raw)).size, 1);
    assert.equal(posts.at(-1)!.headers['x-chatapi-attempt'], '5');
    assert.equal((await redeliver(one)).status, 200, 'what was sent can be sent again');
    await stage.settled(id, one, 'sent');

    const recover = (from: string) => stage.ask('POST', `/webhooks/${id}/recover`, { since: from });
    assert.equal((await recover(new Date(Date.now() + 60_000).toISOString())).body.data.recovered, 0);
    assert.equal((await recover(since)).body.data.recovered, 1);
    await stage.settled(id, two, 'sent');
    assert.equal((await recover(since)).body.data.recovered, 0);
    const list = (query: string) => stage.ask('GET', `/webhooks/${id}/deliveries?${query}`);
    assert.equal((await list('status=sent&event=webhook.test')).body.pagination.total, 2);
    assert.equal((await list('status=failed')).body.pagination.total, 0);
    assert.equal((await list('event=message.created')).body.pagination.total, 0);
  });

  it('can be sent again only once they have ended', async () => {
    const { tenant, receiver } = stage;
    const { id } = await aWebhook(tenant, { url: receiver.url('/slow'), events: ['user.created'] });
    let release: (() => void) | undefined;
    receiver.answer = (_got, response) => (release = () => response.end());
    const delivery = await aTestDelivery(tenant, id);
    await until('it is under way', () => release !== undefined);
    const path = `/webhooks/${id}/deliveries/${delivery}/redeliver`;
    assertError(await stage.api.call('POST', path, { key: tenant.key }), 409, 'INVALID_STATE');
    release!();
    receiver.answer = (_got, response) => response.end();
    await stage.settled(id, delivery, 'sent');
  });

  it('are signed with both secrets while the old one lives on', async () => {
    const { tenant, receiver } = stage;
    receiver.answer = (_got, response) => response.end();
    const { id, secret } = await aWebhook(tenant, { url: receiver.url('/rotated'), events: ['user.created'] });
    const rotate = async (body: object) =>
      (await stage.ask('POST', `/webhooks/${id}/rotate-secret`, body)).body.data.secret as string;
    const post = async (): Promise<Received> => {
      const delivery = await aTestDelivery(tenant, id);
      await stage.settled(id, delivery, 'sent');
      return receiver.at('/rotated').at(-1)!;
    };
    const second = await rotate({});
    const both = await post();
    assert.deepEqual([accepted(secret, both), accepted(second, both)], [true, true]);
    assert.equal(both.headers['x-chatapi-signature'], plain(second, both.raw));
    await stage.api.database.query(`UPDATE webhook_endpoints SET previous_secret_until = now() WHERE id = $1`, [id]);
    const late = await post();
    assert.deepEqual([accepted(secret, late), accepted(second, late)], [false, true]);
    const third = await rotate({ grace_seconds: 0 });
    const hard = await post();
    assert.deepEqual([accepted(second, hard), accepted(third, hard)], [false, true]);
  });

  it('send a test of any event to the one endpoint, and none to one that is off', async () => {
    const { tenant, receiver } = stage;
    const { id } = await aWebhook(tenant, { url: receiver.url('/tested'), events: ['user.created'] });
    await aWebhook(tenant, { url: receiver.url('/bystander') });
    const reply = await stage.ask('POST', `/webhooks/${id}/test`, { event: 'room.joined' });
    await stage.settled(id, reply.body.data.id, 'sent');
    const plainTest = await aTestDelivery(tenant, id);
    await stage.settled(id, plainTest, 'sent');
    const [first, second] = receiver.at('/tested');
    assert.deepEqual([first!.body.event, second!.body.event], ['room.joined', 'webhook.test']);
    assert.equal(second!.body.data.webhook_id, id);
    assert.equal(receiver.at('/bystander').length, 0);
    await stage.ask('PUT', `/webhooks/${id}`, { is_active: false });
    for (const path of ['test', `deliveries/${plainTest}/redeliver`, 'recover']) {
      const body = path === 'recover' ? { since: '2024-01-01T00:00:00Z' } : {};
      const refused = await stage.api.call('POST', `/webhooks/${id}/${path}`, { key: tenant.key, body });
      assertError(refused, 409, 'INVALID_STATE');
    }
  });
});
