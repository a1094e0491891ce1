import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { startApi, type Reply, type TestApi } from '../support/api.js';
import { listsOf, type DocumentedOperation } from '../support/document.js';
import { assertError, assertInvalid } from '../support/errors.js';
import { LIST_SEEDS, type SeededList } from '../support/list-seeds.js';

type Row = Record<string, unknown>;

const ROWS = 7;
const DAY_MS = 86_400_000;

// The committed document names the lists, so that each becomes a suite; document.test.ts holds it to the served one.
const document: unknown = JSON.parse(readFileSync('libs/contracts/openapi.json', 'utf8'));

function closedSet(list: DocumentedOperation, name: string): string[] {
  const schema = list.parameters.find((one) => one.name === name && one.in === 'query')?.schema;
  return schema?.enum ?? [];
}

/** How PostgreSQL compares the values of a sort column: times and numbers as such, null lowest, text by its code. */
function comparison(a: unknown, b: unknown): number {
  if (a === b) return 0;
  if (a === null || a === undefined) return -1;
  if (b === null || b === undefined) return 1;
  return a < b ? -1 : 1;
}

describe('Every list', () => {
  let api: TestApi;
  before(async () => {
    api = await startApi();
  });
  after(() => api.stop());

  for (const list of listsOf(document)) {
    describe(list.name, () => {
      let seeded: SeededList;
      /** The newest rows first, as they were seeded. */
      let all: string[];

      const get = (query: Record<string, string> = {}): Promise<Reply> =>
        api.call('GET', `${seeded.path}?${new URLSearchParams(query)}`, { key: seeded.key });
      const page = async (query: Record<string, string> = {}): Promise<Reply> => {
        const reply = await get(query);
        assert.equal(reply.status, 200, reply.text);
        return reply;
      };
      const idsOf = (reply: Reply): string[] => reply.body.data.map(seeded.idOf);

      before(async () => {
        const seed = LIST_SEEDS[list.name];
        assert.ok(seed, `${list.name} has no entry in test/support/list-seeds.ts`);
        seeded = await seed(api);
        while ((await page()).body.pagination.total < ROWS) await seeded.insert();
        all = idsOf(await page({ size: '100' }));
        assert.equal(new Set(all).size, ROWS);
      });

      it('has defaults and the whole pagination block', async () => {
        const { body } = await page();
        assert.deepEqual(Object.keys(body).sort(), ['data', 'pagination', 'status', 'timestamp']);
        const expected = {
          page: 1,
          size: 20,
          total: ROWS,
          pages: 1,
          has_next: false,
          has_prev: false,
          next_cursor: null,
        };
        assert.deepEqual(body.pagination, expected);
        assert.equal(body.data.length, ROWS);
        const explicit = await page({ page: '1', size: '20', sort: 'created_at', order: 'desc' });
        assert.deepEqual(explicit.body.data.map(seeded.idOf), body.data.map(seeded.idOf));
      });

      it('takes sizes 1 to 100 and pages from 1', async () => {
        for (const [name, value] of [
          ['size', '0'],
          ['size', '101'],
          ['size', '-1'],
          ['size', '1.5'],
          ['size', 'ten'],
          ['size', ''],
        ]) {
          assertInvalid(await get({ [name!]: value! }), [name!], `${name}=${value}`);
        }
        for (const value of ['0', '-1', 'x', '1e2'])
          assertInvalid(await get({ page: value }), ['page'], `page=${value}`);
        assert.equal((await page({ size: '100' })).body.data.length, ROWS);
        assert.deepEqual((await page({ size: '1' })).body.pagination.pages, ROWS);
        const beyond = await page({ page: '99' });
        assert.deepEqual(beyond.body.data, []);
        assert.equal(beyond.body.pagination.total, ROWS);
        assert.equal(beyond.body.pagination.has_next, false);
        assert.equal(beyond.body.pagination.has_prev, true);
      });

      it('splits into pages that add up', async () => {
        const walked: string[] = [];
        for (let number = 1; number <= 3; number++) {
          const reply = await page({ size: '3', page: String(number) });
          walked.push(...idsOf(reply));
          const { next_cursor: cursor, ...rest } = reply.body.pagination;
          assert.deepEqual(rest, {
            page: number,
            size: 3,
            total: ROWS,
            pages: 3,
            has_next: number < 3,
            has_prev: number > 1,
          });
          assert.equal(typeof cursor === 'string', number < 3);
        }
        assert.deepEqual(walked, all);
      });

      it('refuses an unknown sort, order and value of every closed set', async () => {
        for (const { name, schema } of list.parameters.filter((one) => one.in === 'query' && one.schema.enum)) {
          assertInvalid(await get({ [name]: 'nonsense' }), [name], name);
          assertInvalid(await get({ [name]: '' }), [name], name);
          for (const value of schema.enum) assert.equal((await get({ [name]: value })).status, 200, `${name}=${value}`);
        }
        assert.ok(closedSet(list, 'sort').includes('created_at'));
        assert.deepEqual(closedSet(list, 'order'), ['asc', 'desc']);
      });

      it('sorts by every column both ways, and walks each way by cursor', async () => {
        for (const sort of closedSet(list, 'sort')) {
          const field = sort === 'created_at' ? seeded.createdField : sort;
          const up = await page({ sort, order: 'asc', size: '100' });
          const down = await page({ sort, order: 'desc', size: '100' });
          assert.deepEqual(idsOf(up).reverse(), idsOf(down), sort);
          const values = up.body.data.map((row: Row) => row[field]);
          assert.deepEqual(values, [...values].sort(comparison), sort);
          for (const [order, whole] of [
            ['asc', up],
            ['desc', down],
          ] as const) {
            assert.deepEqual((await walk({ sort, order, size: '2' })).ids, idsOf(whole), `${sort} ${order}`);
          }
        }
      });

      const walk = async (query: Record<string, string>, between?: (step: number) => Promise<void>) => {
        const ids: string[] = [];
        let reply = await page(query);
        for (let step = 1; ; step++) {
          assert.ok(step < 50, 'the walk ends');
          ids.push(...idsOf(reply));
          const { next_cursor: cursor, has_next: more } = reply.body.pagination;
          assert.equal(more, cursor !== null);
          if (cursor === null) return { ids, last: reply };
          await between?.(step);
          reply = await page({ ...query, cursor });
          const { page: number, total, pages } = reply.body.pagination;
          assert.deepEqual([number, total, pages], [null, null, null]);
        }
      };

      it('refuses a cursor that is garbage, of another list or of another order', async () => {
        const { next_cursor: cursor } = (await page({ size: '1' })).body.pagination;
        const other = Object.keys(LIST_SEEDS).find((name) => name !== list.name)!;
        const stranger = await LIST_SEEDS[other]!(api);
        for (let i = 0; i < 2; i++) await stranger.insert();
        const foreign = await api.call('GET', `${stranger.path}?size=1`, { key: stranger.key });
        const cursors = [
          'x',
          '!!',
          cursor.slice(0, -4),
          `${cursor}AAAA`,
          Buffer.from('{}').toString('base64url'),
          Buffer.from('null').toString('base64url'),
          foreign.body.pagination.next_cursor,
        ];
        const content = JSON.parse(Buffer.from(cursor, 'base64url').toString());
        for (const forged of [
          { v: '2024-99-99 00:00:00+00' },
          { v: '2024-02-30 00:00:00+00' },
          { v: '0000-01-01 00:00:00+00' },
          { v: 1 },
          { i: '-'.repeat(36) },
          { v: '\0' },
        ]) {
          cursors.push(Buffer.from(JSON.stringify({ ...content, ...forged })).toString('base64url'));
        }
        for (const value of cursors) assertInvalid(await get({ size: '1', cursor: value }), ['cursor'], value);
        assertInvalid(await get({ size: '1', order: 'asc', cursor }), ['cursor']);
        for (const sort of closedSet(list, 'sort').slice(1))
          assertInvalid(await get({ size: '1', sort, cursor }), ['cursor'], sort);
        for (const value of ['', 'x'.repeat(2049)]) assertInvalid(await get({ cursor: value }), ['cursor']);
      });

      it('filters by dates, inclusive at both ends', async () => {
        const rows = (await page({ order: 'asc' })).body.data;
        const [first, last] = [rows[0][seeded.createdField], rows.at(-1)[seeded.createdField]] as [string, string];
        const total = async (query: Record<string, string>): Promise<number> =>
          (await page(query)).body.pagination.total;
        assert.equal(await total({ start_date: first, end_date: last }), ROWS);
        assert.equal(await total({ start_date: first.slice(0, 10), end_date: last.slice(0, 10) }), ROWS);
        const shift = (time: string, ms: number): string => new Date(Date.parse(time) + ms).toISOString();
        assert.equal(await total({ start_date: shift(last, 1) }), 0);
        assert.equal(await total({ end_date: shift(first, -1) }), 0);
        assert.equal(await total({ start_date: shift(last, DAY_MS).slice(0, 10) }), 0);
        assert.equal(await total({ end_date: shift(first, -DAY_MS).slice(0, 10) }), 0);
        assert.equal(
          await total({ end_date: first.replace('Z', '+00:00') }),
          rows.filter((row: Row) => row[seeded.createdField] === first).length,
        );
        const wrong = [
          'today',
          '2024-02-30',
          '2024-13-01',
          '2024-1-1',
          '1704067200',
          '2024-01-01T00:00:00',
          '2024-01-01T25:00:00Z',
          '',
        ];
        for (const value of wrong) {
          assertInvalid(await get({ start_date: value }), ['start_date'], value);
          assertInvalid(await get({ end_date: value }), ['end_date'], value);
        }
      });

      it('a cursor skips and repeats nothing while rows arrive', async () => {
        const { ids } = await walk({ size: '2' }, () => seeded.insert());
        assert.deepEqual(ids, all, 'newest first: what arrives is before the cursor');
        const grown = await walk({ size: '2', order: 'asc' }, (step) =>
          step <= 3 ? seeded.insert() : Promise.resolve(),
        );
        assert.deepEqual(grown.ids.slice(0, ROWS), [...all].reverse());
        assert.equal(new Set(grown.ids).size, grown.ids.length);
        assert.equal(
          grown.ids.length,
          (await page()).body.pagination.total,
          'oldest first: what arrives is at the end',
        );
      });

      it('breaks ties by id, so that pages are stable', async () => {
        await seeded.tie('2024-05-05T12:00:00.000Z');
        for (const order of ['asc', 'desc']) {
          const whole = idsOf(await page({ size: '100', order }));
          const sorted = [...whole].sort();
          assert.deepEqual(whole, order === 'asc' ? sorted : sorted.reverse());
          assert.deepEqual((await walk({ size: '3', order })).ids, whole);
          const paged: string[] = [];
          for (let number = 1; paged.length < whole.length; number++) {
            paged.push(...idsOf(await page({ size: '3', order, page: String(number) })));
          }
          assert.deepEqual(paged, whole);
        }
        const day = { start_date: '2024-05-05', end_date: '2024-05-05' };
        assert.equal((await page(day)).body.pagination.total, idsOf(await page({ size: '100' })).length);
        assert.equal((await page({ start_date: '2024-05-06' })).body.pagination.total, 0);
        assert.equal((await page({ end_date: '2024-05-04' })).body.pagination.total, 0);
      });

      it('needs a key', async () => assertError(await api.call('GET', seeded.path), 401, 'INVALID_CREDENTIALS'));
    });
  }
});
