import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import * as formats from 'ajv-formats';
import { EVENT_NAMES } from '#libs/contracts';
import { DeactivateQuietRoomsProcessor } from '../../../libs/rooms/src/jobs/deactivate-quiet-rooms.processor.js';
import { aMessage, aRoom, aTenant, aUser } from '../../support/api.js';
import { until } from '../../support/concurrency.js';
import type { Received } from '../../support/receiver.js';
import { aWebhook, aWebhookStage, type WebhookStage } from '../../support/webhooks.js';

describe('Events', () => {
  let stage: WebhookStage;
  let payloads: Map<string, (value: unknown) => boolean>;
  before(async () => {
    stage = await aWebhookStage({ NOTIFICATION_RETRY_SCHEDULE: '1' });
    const types = (await stage.ask('GET', '/webhooks/event-types')).body.data.event_types;
    const ajv = new Ajv2020({ strict: false });
    formats.default.default(ajv);
    payloads = new Map(types.map((type: { name: string; schema: object }) => [type.name, ajv.compile(type.schema)]));
  });
  after(() => stage.stop());

  /** Waits for the posts of an event at a path, and holds each to the schema of its event. */
  const told = async (path: string, event: string, count = 1): Promise<Received[]> => {
    const here = () => stage.receiver.at(path).filter((one) => one.body.event === event);
    await until(`${event} comes ${count} times`, () => here().length >= count);
    for (const { body, raw } of here()) assert.ok(payloads.get(event)!(body), raw);
    assert.equal(here().length, count);
    return here();
  };

  it('come from every change that makes one, with the thing as the API shows it', async () => {
    const { tenant, ask, receiver } = stage;
    const webhook = await aWebhook(tenant, { url: receiver.url('/all') });
    const data = async (event: string, count = 1) => (await told('/all', event, count)).at(-1)!.body.data;

    const owner = await aUser(tenant, { full_name: 'Jörg 🐘' });
    const member = await aUser(tenant);
    await told('/all', 'user.created', 2);
    assert.deepEqual(
      receiver
        .of('user.created')
        .map((one) => one.body.data.id)
        .sort(),
      [owner.id, member.id].sort(),
    );
    const user = (await ask('PUT', `/users/${owner.id}`, { meta: { a: [1, 'ü'] } })).body.data;
    assert.deepEqual(await data('user.updated'), user);
    assert.deepEqual(await data('client.updated', await renamed()), (await ask('GET', '/clients/me')).body.data);

    const room = (await ask('POST', '/rooms', { name: 'Hall', owner_id: owner.id })).body.data;
    assert.deepEqual(await data('room.created'), room);
    const joined = await data('room.joined');
    assert.deepEqual(
      [joined.room_id, joined.user_id, joined.role, joined.user_name],
      [room.id, owner.id, 'owner', 'Jörg 🐘'],
    );
    await ask('POST', `/rooms/${room.id}/join`, { user_id: member.id });
    assert.equal((await data('room.joined', 2)).user_id, member.id);

    const message = await aMessage(tenant, owner, room.id, 'Grüße 🐘 "quoted" \\ \u2028 </script>');
    assert.deepEqual(await data('message.created'), message);
    const edited = (await ask('PUT', `/messages/${message.id}`, { content: 'other' })).body.data;
    assert.deepEqual(await data('message.updated'), edited);
    await ask('DELETE', `/messages/${message.id}`);
    const deleted = await data('message.deleted');
    assert.deepEqual([deleted.room_id, deleted.id, deleted.deleted_by], [room.id, message.id, null]);

    const changed = (await ask('PUT', `/rooms/${room.id}`, { description: 'big' })).body.data;
    assert.deepEqual(await data('room.updated'), changed);
    await ask('POST', `/rooms/${room.id}/leave`, { user_id: member.id });
    const left = await data('room.left');
    assert.deepEqual([left.user_id, left.reason], [member.id, 'left']);
    await ask('DELETE', `/users/${owner.id}`);
    assert.equal((await data('user.deleted')).id, owner.id);
    const ended = await data('room.left', 2);
    assert.deepEqual([ended.room_id, ended.user_id, ended.reason], [room.id, owner.id, 'deleted']);
    const last = (await ask('GET', `/rooms/${room.id}`)).body.data;
    await ask('DELETE', `/rooms/${room.id}`);
    assert.deepEqual(await data('room.deleted'), last);

    const meta = receiver.at('/all')[0]!.body.meta;
    assert.deepEqual([meta.client_id, meta.webhook_id, meta.attempt], [tenant.id, webhook.id, 1]);
    const ids = receiver.at('/all').map((one) => one.body.id);
    assert.equal(new Set(ids).size, ids.length, 'every event has an id of its own');
    await ask('DELETE', `/webhooks/${webhook.id}`);

    async function renamed(): Promise<number> {
      await ask('PUT', '/clients/me', { name: `${tenant.name} new` });
      return 1;
    }
  });

  it('come from the job that puts rooms to rest, and from the message that wakes one', async () => {
    const { tenant, receiver, api } = stage;
    const webhook = await aWebhook(tenant, {
      url: receiver.url('/quiet'),
      events: ['room.updated', 'message.created'],
    });
    const owner = await aUser(tenant);
    const rooms = [await aRoom(tenant, owner), await aRoom(tenant, owner), await aRoom(tenant, owner)];
    await api.database.query(`UPDATE rooms SET created_at = now() - interval '31 days' WHERE id = ANY($1::uuid[])`, [
      rooms,
    ]);
    await api.app.get(DeactivateQuietRoomsProcessor, { strict: false }).run();
    const got = await told('/quiet', 'room.updated', 3);
    assert.deepEqual(got.map((one) => one.body.data.id).sort(), [...rooms].sort());
    for (const { body } of got) {
      assert.deepEqual([body.data.is_active, body.data.deactivated_reason], [false, 'inactive']);
    }
    await aMessage(tenant, owner, rooms[0]!);
    await told('/quiet', 'message.created');
    const woken = (await told('/quiet', 'room.updated', 4)).at(-1)!.body.data;
    assert.deepEqual([woken.id, woken.is_active], [rooms[0], true]);
    await stage.ask('DELETE', `/webhooks/${webhook.id}`);
  });

  it('go to who subscribes: by name, by family, to everything, to some rooms', async () => {
    const { tenant, receiver } = stage;
    const owner = await aUser(tenant);
    const [one, two] = [await aRoom(tenant, owner), await aRoom(tenant, owner)];
    const webhooks = [
      await aWebhook(tenant, { url: receiver.url('/exact'), events: ['message.created'] }),
      await aWebhook(tenant, { url: receiver.url('/family'), events: ['message.*', 'user.deleted'] }),
      await aWebhook(tenant, { url: receiver.url('/every'), events: ['*', 'message.created'] }),
      await aWebhook(tenant, { url: receiver.url('/one'), events: ['*'], room_ids: [one] }),
      await aWebhook(tenant, { url: receiver.url('/off'), events: ['*'], is_active: false }),
      await aWebhook(tenant, { url: receiver.url('/user'), events: ['user.*'] }),
    ];
    const stranger = await aTenant(stage.api);
    await aWebhook(stranger, { url: receiver.url('/stranger') });
    const first = await aMessage(tenant, owner, one);
    const second = await aMessage(tenant, owner, two);
    await stage.ask('DELETE', `/messages/${first.id}`);
    await stage.ask('PUT', `/users/${owner.id}`, { full_name: 'Changed' });
    const names = (path: string) =>
      receiver
        .at(path)
        .map(({ body }) => `${body.event} ${body.data.id}`)
        .sort();
    const messages = [`message.created ${first.id}`, `message.created ${second.id}`];
    const expected: [string, string[]][] = [
      ['/exact', messages],
      ['/family', [...messages, `message.deleted ${first.id}`]],
      ['/every', [...messages, `message.deleted ${first.id}`, `user.updated ${owner.id}`]],
      ['/one', [messages[0]!, `message.deleted ${first.id}`]],
      ['/user', [`user.updated ${owner.id}`]],
    ];
    for (const [path, all] of expected) await until(path, () => names(path).length === all.length);
    for (const [path, all] of expected) assert.deepEqual(names(path), all.sort(), path);
    assert.deepEqual([...names('/off'), ...names('/stranger')], []);
    for (const { id } of webhooks) await stage.ask('DELETE', `/webhooks/${id}`);
  });

  it('cost a tenant without endpoints no row, and none is missed right after a subscription', async () => {
    const { receiver, api } = stage;
    const tenant = await aTenant(api);
    const owner = await aUser(tenant);
    const room = await aRoom(tenant, owner);
    await aMessage(tenant, owner, room);
    const count = async () => {
      const [row] = await api.database.query<{ n: number }>('SELECT count(*) AS n FROM events WHERE client_id = $1', [
        tenant.id,
      ]);
      return row!.n;
    };
    assert.equal(await count(), 0);
    for (let i = 0; i < 5; i++) {
      const { id } = await aWebhook(tenant, { url: receiver.url(`/fresh${i}`) });
      await aMessage(tenant, owner, room);
      await told(`/fresh${i}`, 'message.created');
      assert.equal((await api.call('DELETE', `/webhooks/${id}`, { key: tenant.key })).status, 204);
    }
    assert.equal(await count(), 5);
  });

  it('tell of notifications that have ended', async () => {
    const { tenant, receiver, ask } = stage;
    const { id } = await aWebhook(tenant, { url: receiver.url('/notified'), events: ['notification.*'] });
    const user = await aUser(tenant);
    const notification = { type: 'websocket', user_ids: [user.id], content: 'hello', subject: 'Hi' };
    const made = (await ask('POST', '/notifications', notification)).body.data;
    const data = (await told('/notified', 'notification.sent'))[0]!.body.data;
    assert.deepEqual([data.id, data.status, data.user_ids], [made.id, 'sent', [user.id]]);
    const post = { type: 'webhook', webhook_url: receiver.url('/refused'), content: 'hello' };
    receiver.answer = (got, response) => response.writeHead(got.path === '/refused' ? 400 : 200).end();
    const refused = (await ask('POST', '/notifications', post)).body.data;
    assert.equal((await told('/notified', 'notification.failed'))[0]!.body.data.id, refused.id);
    await ask('DELETE', `/webhooks/${id}`);
  });

  it('leave out none of the catalogue', () => {
    // Proved with the endpoints that fail.
    const elsewhere: string[] = ['webhook.disabled'];
    const seen = new Set(stage.receiver.got.map((one) => one.body.event));
    assert.deepEqual(
      EVENT_NAMES.filter((name) => !seen.has(name) && !elsewhere.includes(name)),
      [],
    );
  });
});
