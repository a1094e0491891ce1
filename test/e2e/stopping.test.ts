import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Health } from '#libs/observability';
import { aTenant, call, startApi, type TestApi } from '../support/api.js';

describe('A process that is stopping', () => {
  let api: TestApi;
  before(async () => {
    api = await startApi();
  });
  after(() => api.stop());

  it('is alive and not ready, and sends what still arrives elsewhere', async () => {
    const { key } = await aTenant(api);
    assert.equal((await call(`${api.url}/health/ready`, 'GET')).status, 200);
    api.app.get(Health, { strict: false }).stopping = true;
    const ready = await call(`${api.url}/health/ready`, 'GET');
    assert.deepEqual([ready.status, ready.headers.get('retry-after')], [503, '1']);
    assert.equal((await call(`${api.url}/health/live`, 'GET')).status, 200);
    const reply = await api.call('GET', '/clients/me', { key });
    assert.deepEqual([reply.status, reply.body.error_code], [503, 'SERVICE_UNAVAILABLE']);
    assert.ok(reply.headers.get('retry-after'));
  });
});
