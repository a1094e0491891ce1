import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { ApiError } from '#libs/common';
import { Database, NoConnection, type NamedStatement, type TextRow } from '#libs/database';
import { RoomPages, type PageReader, type RoomPageAsked } from './room-pages.js';

function aPage(roomId: string, asked: Partial<RoomPageAsked> = {}): RoomPageAsked {
  return {
    clientId: 'client',
    roomId,
    userId: 'user',
    order: 'desc',
    limit: 21,
    start: undefined,
    skipped: 0,
    ...asked,
  };
}

/** Holds every batch until the test answers it: each page with rows that name its room, the last first. */
class HeldReader implements PageReader {
  readonly batches: string[][] = [];
  closed = false;
  private readonly held: { rooms: string[]; resolve: (rows: TextRow[]) => void; reject: (error: unknown) => void }[] =
    [];

  rows({ values }: NamedStatement): Promise<TextRow[]> {
    const rooms = values[1] as string[];
    this.batches.push(rooms);
    return new Promise((resolve, reject) => this.held.push({ rooms, resolve, reject }));
  }

  async succeed(): Promise<void> {
    const { rooms, resolve } = this.held.shift()!;
    const row = (room: string, index: number, seq: string): TextRow => [String(index + 1), '2', `${room}-${seq}`, seq];
    resolve(['1', '2'].flatMap((seq) => rooms.map((room, index) => row(room, index, seq)).reverse()));
    await turn();
  }

  async fail(error: unknown): Promise<void> {
    this.held.shift()!.reject(error);
    await turn();
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }
}

describe('RoomPages', () => {
  const nowhere = new Database('postgresql://u:p@127.0.0.1:1/none');
  const pagesOn = (reader: PageReader): RoomPages => new RoomPages(nowhere, reader);
  const ids = (rows: { 2: string | null }[]): (string | null)[] => rows.map((row) => row[2]);

  it('reads a page at once when none is under way', () => {
    const reader = new HeldReader();
    void pagesOn(reader).read(aPage('a'));
    assert.deepEqual(reader.batches, [['a']]);
  });

  it('reads those asked for meanwhile together, and answers each with its own rows in order', async () => {
    const reader = new HeldReader();
    const pages = pagesOn(reader);
    const asked = ['a', 'b', 'c'].map((room) => pages.read(aPage(room)));
    assert.deepEqual(reader.batches, [['a']]);
    await reader.succeed();
    assert.deepEqual(reader.batches, [['a'], ['b', 'c']]);
    await reader.succeed();
    assert.deepEqual((await Promise.all(asked)).map(ids), [
      ['a-2', 'a-1'],
      ['b-2', 'b-1'],
      ['c-2', 'c-1'],
    ]);
  });

  it('starts the next batch before the one that came back is answered', async () => {
    const reader = new HeldReader();
    const pages = pagesOn(reader);
    const seen = pages.read(aPage('a')).then(() => reader.batches.length);
    void pages.read(aPage('b'));
    await reader.succeed();
    assert.equal(await seen, 2);
  });

  it('puts only what one statement reads into a batch, the page that has waited longest first', async () => {
    const reader = new HeldReader();
    const pages = pagesOn(reader);
    const asked = [
      aPage('a'),
      aPage('b', { order: 'asc' }),
      aPage('c'),
      aPage('d', { order: 'asc' }),
      aPage('e', { limit: 6 }),
    ];
    const answers = asked.map((page) => pages.read(page));
    for (let batch = 0; batch < 4; batch++) await reader.succeed();
    assert.deepEqual(reader.batches, [['a'], ['b', 'd'], ['c'], ['e']]);
    assert.deepEqual(ids((await Promise.all(answers))[1]!), ['b-1', 'b-2']);
  });

  it('lets a further batch leave only when eight wait, and no more than four at once', async () => {
    const reader = new HeldReader();
    const pages = pagesOn(reader);
    const ask = (n: number): void => {
      for (let i = 0; i < n; i++) void pages.read(aPage(`room ${i}`));
    };
    ask(8);
    assert.deepEqual(
      reader.batches.map((rooms) => rooms.length),
      [1],
    );
    ask(1);
    assert.deepEqual(
      reader.batches.map((rooms) => rooms.length),
      [1, 8],
    );
    ask(50);
    assert.deepEqual(
      reader.batches.map((rooms) => rooms.length),
      [1, 8, 8, 8],
    );
    await reader.succeed();
    assert.deepEqual(
      reader.batches.map((rooms) => rooms.length),
      [1, 8, 8, 8, 16],
    );
  });

  it('tells everyone in a batch that fails, and goes on', async () => {
    const reader = new HeldReader();
    const pages = pagesOn(reader);
    const first = pages.read(aPage('a'));
    const others = Promise.allSettled([pages.read(aPage('b')), pages.read(aPage('c'))]);
    await reader.succeed();
    await reader.fail(new NoConnection('no connection'));
    assert.deepEqual(
      (await others).map((outcome) => outcome.status === 'rejected' && (outcome.reason as ApiError).status),
      [503, 503],
    );
    const again = pages.read(aPage('d'));
    await reader.succeed();
    assert.deepEqual(
      [ids(await first), ids(await again)],
      [
        ['a-2', 'a-1'],
        ['d-2', 'd-1'],
      ],
    );
  });

  it('reads a page far down on the general pool, where it delays no other', async () => {
    const reader = new HeldReader();
    await assert.rejects(pagesOn(reader).read(aPage('a', { skipped: 201 })), (error: ApiError) => error.status === 503);
    assert.deepEqual(reader.batches, []);
  });

  it('closes its sessions with the application', async () => {
    const reader = new HeldReader();
    await pagesOn(reader).onApplicationShutdown();
    assert.ok(reader.closed);
  });
});
