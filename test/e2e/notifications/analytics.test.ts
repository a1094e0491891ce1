import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { aNotification, aTenant, aUser, startApi, type TestApi, type TestTenant } from '../../support/api.js';
import { until } from '../../support/concurrency.js';
import { startNotifier, type Notifier } from '../../support/notifier.js';
import { anOwnDatabase, type OwnDatabase } from '../../support/own-database.js';

type Sums = Record<string, number>;

interface Seen {
  id: string;
  type: string;
  status: string;
  created_at: string;
  scheduled_for: string | null;
  deliveries: { status: string; attempts: { status: string; attempted_at: string; response_time_ms: number }[] }[];
}

/** The analytics counted from nothing but what the API shows of each notification. */
function recount(all: Seen[]): Record<string, unknown> {
  const sums = (): Sums => ({ notifications: 0, total: 0, successful: 0, failed: 0, pending: 0 });
  const byChannel: Record<string, Sums> = { email: sums(), websocket: sums(), webhook: sums() };
  const byStatus: Sums = { pending: 0, processing: 0, retrying: 0, sent: 0, partial: 0, failed: 0, cancelled: 0 };
  const byDay = new Map<string, Sums>();
  const whole = sums();
  let ms = 0;
  for (const one of all) {
    const date = one.created_at.slice(0, 10);
    const day = byDay.get(date) ?? { total: 0, successful: 0, failed: 0 };
    byDay.set(date, day);
    byStatus[one.status]!++;
    for (const into of [whole, byChannel[one.type]!]) into['notifications']!++;
    for (const { status, attempts } of one.deliveries) {
      const kind = status === 'sent' ? 'successful' : status === 'failed' ? 'failed' : 'pending';
      for (const into of [whole, byChannel[one.type]!, day]) into['total']!++;
      if (status === 'cancelled') continue;
      for (const into of [whole, byChannel[one.type]!]) into[kind]!++;
      if (kind !== 'pending') day[kind]!++;
      const last = attempts.at(-1);
      if (status !== 'sent' || !last) continue;
      ms += Date.parse(last.attempted_at) + last.response_time_ms - Date.parse(one.scheduled_for ?? one.created_at);
    }
  }
  const decided = whole['successful']! + whole['failed']!;
  return {
    total_notifications: whole['notifications'],
    successful_deliveries: whole['successful'],
    failed_deliveries: whole['failed'],
    pending_deliveries: whole['pending'],
    success_rate: decided === 0 ? 0 : Number(((100 * whole['successful']!) / decided).toFixed(2)),
    by_channel: byChannel,
    by_status: byStatus,
    by_day: [...byDay].map(([date, counts]) => ({ date, ...counts })).sort((a, b) => (a.date < b.date ? -1 : 1)),
    avg_delivery_time_ms: whole['successful'] === 0 ? null : Math.round((ms / whole['successful']!) * 10) / 10,
  };
}

async function everything({ api, key }: TestTenant): Promise<Seen[]> {
  const found: Seen[] = [];
  for (let page = 1; ; page++) {
    const reply = await api.call('GET', `/notifications?size=100&page=${page}`, { key });
    for (const { id } of reply.body.data) {
      found.push((await api.call('GET', `/notifications/${id}`, { key })).body.data);
    }
    if (!reply.body.pagination.has_next) return found;
  }
}

describe('Analytics', () => {
  let notifier: Notifier;
  before(async () => {
    notifier = await startNotifier({ NOTIFICATION_RETRY_SCHEDULE: '0,3600' });
    notifier.smtp.verdict = (address) =>
      address.startsWith('never') ? 550 : address.startsWith('later') ? 451 : undefined;
    notifier.http.answer = (request, response) => void response.writeHead(request.path === '/ok' ? 200 : 410).end();
  });
  after(() => notifier.stop());

  const ask = async (query = '') => {
    const { key } = notifier.tenant;
    const reply = await notifier.api.call('GET', `/notifications/analytics?${query}`, { key });
    assert.equal(reply.status, 200, reply.text);
    return reply.body.data;
  };

  it('of nothing are zeros', async () => {
    const other = await aTenant(notifier.api);
    const reply = await notifier.api.call('GET', '/notifications/analytics', { key: other.key });
    assert.deepEqual(reply.body.data, recount([]));
  });

  it('agree with a recount of everything, in every range and of every type', async () => {
    const { tenant } = notifier;
    const seed = Date.now();
    console.log(`seed ${seed}`);
    let state = seed % 2147483647;
    const random = (below: number) => (state = (state * 48271) % 2147483647) % below;
    const user = await aUser(tenant);
    const later = new Date(Date.now() + 86_400_000).toISOString();
    // One of each end for certain; the rest as it comes.
    const ends = [['good-0'], ['never-0'], ['good-0', 'never-0'], ['good-0', 'later-0']];
    for (const end of ends) await aNotification(tenant, { to_email: end.map((name) => `${name}@example.com`) });
    for (const called of [true, false]) {
      const { id } = await aNotification(tenant, { scheduled_for: later });
      if (called) await notifier.api.call('POST', `/notifications/${id}/cancel`, { key: tenant.key });
    }
    for (let i = 0; i < 60; i++) {
      const kind = random(4);
      if (kind === 0) {
        await aNotification(tenant, { type: 'websocket', user_ids: [user.id], content: 'x' });
      } else if (kind === 1) {
        const webhook_url = `${notifier.httpUrl}/${random(2) ? 'ok' : 'gone'}`;
        await aNotification(tenant, { type: 'webhook', webhook_url, content: 'x' });
      } else {
        const names = ['good', 'never', 'later'];
        const to_email = Array.from({ length: 1 + random(4) }, (_, n) => `${names[random(3)]}-${n}@example.com`);
        const made = await aNotification(tenant, { to_email, ...(random(4) === 0 ? { scheduled_for: later } : {}) });
        if (made.scheduled_for && random(2)) {
          await notifier.api.call('POST', `/notifications/${made.id}/cancel`, { key: tenant.key });
        }
      }
    }
    await until('everything is at its end, or waits', async () => {
      const [row] = await notifier.api.database.query<{ n: number }>(
        `SELECT count(*) AS n FROM deliveries WHERE stage IN ('ready', 'leased') OR next_attempt_at < now()`,
      );
      return row!.n === 0;
    });
    // Spread over days, so that ranges have edges: the last millisecond of one, the first of the next.
    const days = ['2024-02-28T12:00:00.000Z', '2024-02-29T23:59:59.999Z', '2024-03-01T00:00:00.000Z'];
    for (const [index, { id }] of (await everything(tenant)).entries()) {
      const params = [id, days[index % 3]];
      await notifier.api.database.query('UPDATE notifications SET created_at = $2 WHERE id = $1', params);
    }
    // Moving the creation moved no delivery time that was summed up already: take that from the rows as they are now.
    await notifier.api.database.query(
      `UPDATE notifications n SET delivery_ms = coalesce((
         SELECT sum((extract(epoch FROM a.attempted_at) * 1000)::bigint + a.response_time_ms
           - (extract(epoch FROM coalesce(n.scheduled_for, n.created_at)) * 1000)::bigint)
         FROM deliveries d JOIN delivery_attempts a ON a.delivery_id = d.id AND a.status = 'sent'
         WHERE d.source_id = n.id), 0) WHERE n.client_id = $1`,
      [tenant.id],
    );
    const all = await everything(tenant);
    assert.deepEqual(await ask(), recount(all));
    for (const type of ['email', 'websocket', 'webhook']) {
      assert.deepEqual(await ask(`type=${type}`), recount(all.filter((one) => one.type === type)), type);
    }
    const ranges = [
      ['2024-02-29', '2024-02-29'],
      ['2024-02-28', '2024-02-29'],
      ['2024-03-01', '2024-03-01'],
      ['2024-02-28T12:00:00Z', '2024-02-29T23:59:59.998Z'],
      ['2024-02-29T23:59:59.999Z', '2024-03-01T00:00:00Z'],
      ['2025-01-01', '2025-01-02'],
    ];
    for (const [start, end] of ranges) {
      const from = Date.parse(start!);
      const to = end!.length === 10 ? Date.parse(end!) + 86_399_999 : Date.parse(end!);
      const inside = all.filter((one) => Date.parse(one.created_at) >= from && Date.parse(one.created_at) <= to);
      assert.deepEqual(await ask(`start_date=${start}&end_date=${end}`), recount(inside), `${start} – ${end}`);
    }
    const statuses = new Set(all.map((one) => one.status));
    for (const status of ['sent', 'failed', 'partial', 'retrying', 'pending', 'cancelled']) {
      assert(statuses.has(status), `no notification is ${status}; seed ${seed}`);
    }
    for (const status of statuses) {
      const reply = await notifier.api.call('GET', `/notifications?status=${status}&size=100`, { key: tenant.key });
      assert.equal(reply.body.pagination.total, all.filter((one) => one.status === status).length, status);
    }
  });

  it('sum up delivery times as they are settled', async () => {
    const other = await aTenant(notifier.api);
    await aNotification(other, { to_email: ['good-1@example.com', 'good-2@example.com'] });
    await until('it is sent', async () => (await everything(other))[0]!.status === 'sent');
    const reply = await notifier.api.call('GET', '/notifications/analytics', { key: other.key });
    assert.deepEqual(reply.body.data, recount(await everything(other)));
  });
});

describe('Analytics of very many notifications', () => {
  // Of its own: what VACUUM may mark as visible to all waits for every transaction in the same database.
  let own: OwnDatabase;
  let api: TestApi;
  before(async () => {
    own = await anOwnDatabase();
    api = await startApi({}, own.url);
  });
  after(async () => {
    await api.stop();
    await own.drop();
  });

  it('read the index and not the table', async () => {
    const tenant = await aTenant(api);
    const fill = `INSERT INTO notifications (client_id, id, type, status, priority, subject, content, recipients_total,
        recipients_pending, recipients_sent, delivery_ms, finished_at, created_at, updated_at)
      SELECT $1, gen_random_uuid(), 'email', 'sent', 'normal', 's', repeat('c', 1500), 1, 0, 1, 5, now(), at, at
      FROM (SELECT now() - i * interval '1 minute' AS at FROM generate_series(1, 20000) AS i) AS times`;
    await api.database.query(fill, [tenant.id]);
    await api.database.query('VACUUM (ANALYZE) notifications');
    const plan = await api.database.query<{ 'QUERY PLAN': string }>(
      `EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF)
       SELECT type, status, count(*), sum(recipients_total), sum(recipients_sent), sum(recipients_failed), sum(delivery_ms)
       FROM notifications n WHERE n.client_id = $1 AND n.finished_at IS NOT NULL
       GROUP BY (n.created_at AT TIME ZONE 'UTC')::date, n.type, n.status`,
      [tenant.id],
    );
    const text = plan.map((row) => row['QUERY PLAN']).join('\n');
    assert.match(text, /Index Only Scan using notifications_finished_idx/, text);
    const reply = await api.call('GET', '/notifications/analytics', { key: tenant.key });
    assert.deepEqual(
      [reply.body.data.total_notifications, reply.body.data.success_rate, reply.body.data.avg_delivery_time_ms],
      [20_000, 100, 5],
    );
  });
});
