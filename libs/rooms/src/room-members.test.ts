import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { newId } from '#libs/common';
import { Database } from '#libs/database';
import { anOwnDatabase, type OwnDatabase } from '../../../test/support/own-database.js';
import { RoomMemberListQueryDto } from './room-member.dto.js';
import { RoomMembersRepository } from './room-members.repository.js';

/** A tenant with a room whose members are all of its users. */
async function aBigRoom(database: Database, members: number): Promise<{ client: string; room: string }> {
  const [client, room] = [newId(), newId()];
  await database.query(`INSERT INTO clients (id, name, created_at, updated_at) VALUES ($1, 'c', now(), now())`, [
    client,
  ]);
  await database.query(
    `INSERT INTO rooms (client_id, id, name, room_type, visibility, max_members, meta, created_at, updated_at)
     VALUES ($1, $2, 'r', 'group', 'public', 100000, '{}', now(), now())`,
    [client, room],
  );
  await database.query(
    `WITH added AS (
       INSERT INTO users (client_id, id, username, meta, created_at, updated_at)
       SELECT $1, gen_random_uuid(), 'u' || n, '{}', now(), now() FROM generate_series(1, $3) AS n RETURNING id
     )
     INSERT INTO room_members (client_id, room_id, user_id, role, joined_at, change_seq, last_read_seq)
     SELECT $1, $2, id, 'member', now(), row_number() OVER (), 0 FROM added`,
    [client, room, members],
  );
  return { client, room };
}

describe('The members of a room', () => {
  let own: OwnDatabase;
  let database: Database;
  before(async () => {
    own = await anOwnDatabase();
    database = new Database(own.url, { max: 1 });
    await database.query('ALTER TABLE users SET (autovacuum_enabled = off)');
    await database.query('ALTER TABLE room_members SET (autovacuum_enabled = off)');
  });
  after(async () => {
    await database.close();
    await own.drop();
  });

  it('are listed without reading users of the tenant over and over, big as it has grown since statistics were made', async () => {
    for (let tenant = 0; tenant < 3; tenant++) await aBigRoom(database, 1_000);
    await database.query('ANALYZE');
    const members = 2_000;
    const { client, room } = await aBigRoom(database, members);
    const query = Object.assign(new RoomMemberListQueryDto(), { page: 1, size: 20, sort: 'created_at', order: 'desc' });
    await database.run(async (tx) => {
      const page = await new RoomMembersRepository(tx as unknown as Database).list(client, room, query);
      assert.deepEqual([page.data.length, page.pagination.total], [20, members]);
      const [read] = await tx.query<{ n: number }>(
        `SELECT sum(idx_tup_fetch + seq_tup_read)::integer AS n FROM pg_stat_xact_user_tables
         WHERE relname IN ('users', 'room_members')`,
      );
      assert.ok(read!.n < members * 10, `${read!.n} rows for a page of ${members} members`);
    });
  });
});
