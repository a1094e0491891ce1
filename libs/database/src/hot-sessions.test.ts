import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { HotSessions } from './hot-sessions.js';
import { Database } from './database.js';
import { isConnectionFault, NoConnection } from './postgres-errors.js';

describe('HotSessions', () => {
  const url = process.env['TEST_DATABASE_URL']!;
  let sessions: HotSessions;
  before(() => (sessions = new HotSessions(url, { max: 1, lockTimeoutMs: 1_000 })));
  after(() => sessions.close());

  const rows = (text: string, ...values: unknown[]) => sessions.rows({ name: text, text, values });
  const backend = async (): Promise<string> => (await rows('SELECT pg_backend_pid()'))[0]![0]!;

  it('answers every value as PostgreSQL writes it, and null', async () => {
    assert.deepEqual(await rows('SELECT n, n = 2, NULL::text FROM generate_series(1, 2) AS n'), [
      ['1', 'f', null],
      ['2', 't', null],
    ]);
    assert.deepEqual(await rows('SELECT 1 WHERE false'), []);
  });

  it('hands parameters over as they are, alone and in arrays', async () => {
    const hard = ['', 'NULL', 'a"b\\c', '{x,y}', ' \n', 'é 😀', null];
    for (const text of hard) assert.deepEqual(await rows('SELECT $1::text', text), [[text]]);
    const items = await rows('SELECT x FROM unnest($1::text[]) WITH ORDINALITY AS u (x, n) ORDER BY n', hard);
    assert.deepEqual(
      items.map(([text]) => text),
      hard,
    );
    const at = new Date('2026-01-02T03:04:05.678Z');
    const typed = await rows(`SELECT date_part('epoch', $1::timestamptz), $2::boolean, $3::bigint`, at, true, 7);
    assert.deepEqual(typed, [[String(at.getTime() / 1000), 't', '7']]);
  });

  it('plans by look-ups, and waits no longer for a lock than it is told, in every session it opens', async () => {
    const settings = `SELECT current_setting('plan_cache_mode'), current_setting('enable_seqscan'), current_setting('jit'),
      current_setting('lock_timeout')`;
    const planning = [['force_generic_plan', 'off', 'off', '1s']];
    assert.deepEqual(await rows(settings), planning);
    const admin = new Database(url, { max: 1 });
    await admin.query('SELECT pg_terminate_backend($1)', [await backend()]);
    await admin.close();
    // Whoever asks before the pool has heard of the end is told of it.
    await rows('SELECT 1').catch((error: unknown) => assert.ok(isConnectionFault(error), String(error)));
    assert.deepEqual(await rows(settings), planning);
  });

  it('keeps the session when PostgreSQL refuses a statement', async () => {
    const pid = await backend();
    await assert.rejects(rows('SELECT 1 / $1::integer', 0), { code: '22012' });
    assert.equal(await backend(), pid);
  });

  it('says so when there was no connection to send on', async () => {
    const nowhere = new HotSessions('postgresql://u:p@127.0.0.1:1/none', { max: 1, lockTimeoutMs: 1_000 });
    await assert.rejects(nowhere.rows({ name: 'one', text: 'SELECT 1', values: [] }), NoConnection);
    await nowhere.close();
  });
});
