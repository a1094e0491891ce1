import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { NIL_ID } from '#libs/common';
import { EventLog } from '#libs/events';
import { aUser, type TestApi } from '../../support/api.js';
import { until } from '../../support/concurrency.js';
import { aTestDelivery, aWebhook, aWebhookStage, type WebhookStage } from '../../support/webhooks.js';

/** How a delivery has ended, whether or not its endpoint is still there to be asked. */
async function endOf(api: TestApi, id: string): Promise<{ status: string; attempts: number; error: string }> {
  const sql = `SELECT status, attempt_count AS attempts, error_code AS error FROM deliveries
    WHERE id = $1 AND finished_at IS NOT NULL`;
  let ended: Awaited<ReturnType<typeof endOf>> | undefined;
  await until('the delivery has ended', async () => {
    [ended] = await api.database.query(sql, [id]);
    return ended !== undefined;
  });
  return ended!;
}

describe('The life of a webhook endpoint', () => {
  let stage: WebhookStage;
  before(async () => {
    stage = await aWebhookStage({ WEBHOOK_RETRY_SCHEDULE: '1,1,1,1,1,1,1' });
  });
  after(() => stage.stop());

  const show = async (id: string) => (await stage.ask('GET', `/webhooks/${id}`)).body.data;

  it('ends with 410: it is disabled, what waits is cancelled, the others are told, and it can come back', async () => {
    const { tenant, receiver, ask } = stage;
    const other = await aWebhook(tenant, { url: receiver.url('/told'), events: ['webhook.*'] });
    const { id } = await aWebhook(tenant, {
      url: receiver.url('/gone'),
      events: ['*'],
      custom_headers: { Authorization: 'Bearer for-its-receiver' },
    });
    let status = 500;
    receiver.answer = (got, response) => response.writeHead(got.path === '/gone' ? status : 200).end();
    const waiting = await aTestDelivery(tenant, id);
    await until('it failed once', async () => (await stage.delivery(id, waiting)).attempt_count > 0);
    status = 410;
    const gone = await aTestDelivery(tenant, id);
    await until('it is disabled', async () => !(await show(id)).is_active);
    const disabled = await show(id);
    assert.equal(disabled.disabled_reason, 'gone');
    await until('both have ended', async () => {
      const ended = [await stage.delivery(id, gone), await stage.delivery(id, waiting)];
      return ended.every((one) => ['failed', 'cancelled'].includes(one.status));
    });
    await until('the others hear of it', () => receiver.of('webhook.disabled').length > 0);
    const told = receiver.of('webhook.disabled');
    assert.deepEqual(
      told.map((one) => one.path),
      ['/told'],
    );
    assert.deepEqual([told[0]!.body.data.id, told[0]!.body.data.disabled_reason], [id, 'gone']);
    assert.equal(told[0]!.body.data.secret, undefined);
    assert.doesNotMatch(JSON.stringify(told[0]!.body), /for-its-receiver/);

    const before = receiver.at('/gone').length;
    await aUser(tenant);
    await ask('PUT', `/webhooks/${id}`, { description: 'still off' });
    assert.equal((await show(id)).is_active, false);
    status = 200;
    const back = (await ask('PUT', `/webhooks/${id}`, { is_active: true })).body.data;
    assert.deepEqual([back.is_active, back.disabled_reason, back.consecutive_failures], [true, null, 0]);
    await stage.settled(id, await aTestDelivery(tenant, id), 'sent');
    assert.equal(receiver.at('/gone').length, before + 1, 'nothing was sent while it was off');
    const since = { since: new Date(Date.now() - 600_000).toISOString() };
    assert.equal((await ask('POST', `/webhooks/${id}/recover`, since)).body.data.recovered, 2);
    await stage.settled(id, gone, 'sent');
    await stage.settled(id, waiting, 'sent');
    await ask('DELETE', `/webhooks/${other.id}`);
  });

  it('is disabled after failing for five days straight, and not a moment before', async () => {
    const { tenant, receiver, api } = stage;
    const other = await aWebhook(tenant, { url: receiver.url('/hears'), events: ['webhook.disabled'] });
    const { id } = await aWebhook(tenant, { url: receiver.url('/failing'), events: ['user.created'] });
    let status = 500;
    receiver.answer = (got, response) => response.writeHead(got.path === '/failing' ? status : 200).end();
    const failingFor = async (interval: string) =>
      api.database.query(`UPDATE webhook_endpoints SET failing_since = now() - $2::interval WHERE id = $1`, [
        id,
        interval,
      ]);
    const fail = async (): Promise<void> => {
      const before = (await show(id)).consecutive_failures;
      await aTestDelivery(tenant, id);
      await until(
        'it failed',
        async () => (await show(id)).consecutive_failures > before || !(await show(id)).is_active,
      );
    };
    await fail();
    await failingFor('4 days 23 hours 50 minutes');
    await fail();
    assert.equal((await show(id)).is_active, true);
    status = 200;
    await stage.settled(id, await aTestDelivery(tenant, id), 'sent');
    await until('everything before has arrived', async () => (await show(id)).consecutive_failures === 0);
    status = 500;
    await fail();
    assert.equal((await show(id)).is_active, true, 'one success in between starts the five days anew');
    await failingFor('5 days 1 second');
    await fail();
    await until('it is disabled', async () => !(await show(id)).is_active);
    assert.equal((await show(id)).disabled_reason, 'failing');
    await until('the others hear of it', () => receiver.at('/hears').length > 0);
    assert.equal(receiver.at('/hears')[0]!.body.data.id, id);
    assert.equal(receiver.at('/hears').length, 1);
    await stage.ask('DELETE', `/webhooks/${other.id}`);
  });

  it('changes under deliveries in flight: a new address takes the next attempt', async () => {
    const { tenant, receiver } = stage;
    receiver.answer = (got, response) => response.writeHead(got.path === '/new' ? 200 : 500).end();
    const { id } = await aWebhook(tenant, { url: receiver.url('/old'), events: ['user.created'] });
    const delivery = await aTestDelivery(tenant, id);
    await until('the old one is tried', () => receiver.at('/old').length > 0);
    await stage.ask('PUT', `/webhooks/${id}`, { url: receiver.url('/new'), custom_headers: { 'X-New': 'yes' } });
    const tried = receiver.at('/old').length;
    await stage.settled(id, delivery, 'sent');
    assert.equal(receiver.at('/new')[0]!.headers['x-new'], 'yes');
    assert.equal(receiver.at('/new')[0]!.raw, receiver.at('/old')[0]!.raw);
    // An attempt that was under way when it changed may still have gone to the old one.
    assert.ok(receiver.at('/old').length <= tried + 1);
  });

  for (const [end, body, reason, underWay] of [
    ['switched off', { is_active: false }, 'ENDPOINT_DISABLED', 'HTTP_STATUS'],
    ['deleted', undefined, 'ENDPOINT_DELETED', 'ENDPOINT_DELETED'],
  ] as const) {
    it(`${end}, it is sent nothing more: what is under way and fails is cancelled, not tried again`, async () => {
      const { tenant, receiver, api } = stage;
      const path = `/end-${end.replace(' ', '-')}`;
      let fail: (() => void) | undefined;
      receiver.answer = (got, response) => {
        if (got.path === path) fail = () => response.writeHead(500).end();
        else response.end();
      };
      const { id } = await aWebhook(tenant, { url: receiver.url(path), events: ['user.created'] });
      const delivery = await aTestDelivery(tenant, id);
      await until('it is under way', () => fail !== undefined);
      if (body) await stage.ask('PUT', `/webhooks/${id}`, body);
      else await stage.ask('DELETE', `/webhooks/${id}`);
      fail!();
      assert.deepEqual(await endOf(api, delivery), { status: 'cancelled', attempts: 1, error: underWay });
      await aUser(tenant);
      assert.equal(receiver.at(path).length, 1);
    });

    it(`${end} while its event is relayed, it is sent nothing: the delivery is cancelled without an attempt`, async () => {
      const { tenant, receiver, api } = stage;
      receiver.answer = (_got, response) => response.end();
      const path = `/relayed-${end.replace(' ', '-')}`;
      const { id } = await aWebhook(tenant, { url: receiver.url(path), events: ['user.updated'] });
      const delivery = await api.database.run(async (tx) => {
        await new EventLog().add(tx, { clientId: tenant.id, event: 'user.updated', data: {} });
        await tx.query(
          `SELECT relay_events('webhook.event', 100, '${NIL_ID}', 0, 0, 0, 0, '{}', '{}', '{}', '{}', '{}', '{}')`,
        );
        const [row] = await tx.query<{ id: string }>('SELECT id FROM deliveries WHERE lane = $1', [id]);
        if (body) await stage.ask('PUT', `/webhooks/${id}`, body);
        else await stage.ask('DELETE', `/webhooks/${id}`);
        return row!.id;
      });
      assert.deepEqual(await endOf(api, delivery), { status: 'cancelled', attempts: 0, error: reason });
      assert.equal(receiver.at(path).length, 0);
    });
  }
});
