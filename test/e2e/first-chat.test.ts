import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { aMessage, aRoom, aTenant, aUser, startApi, type TestApi } from '../support/api.js';

describe('A first chat', () => {
  let api: TestApi;
  before(async () => {
    api = await startApi();
  });
  after(() => api.stop());

  it('goes from registration to a message that is read back', async () => {
    const tenant = await aTenant(api);
    const john = await aUser(tenant);
    const room = await aRoom(tenant, john);
    const sent = await aMessage(tenant, john, room, 'Hello, everyone!');
    const listed = await api.call('GET', `/messages?room_id=${room}`, { key: john.key });
    assert.equal(listed.status, 200);
    assert.deepEqual(listed.body.data, [sent]);
    assert.equal(listed.body.pagination.total, 1);
  });
});
