import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { newId } from '#libs/common';
import { Database, type Tx } from '#libs/database';
import { EventLog } from '#libs/events';
import { Hub, type RoomChange } from '#libs/realtime';
import { anOwnDatabase, type OwnDatabase } from '../../../test/support/own-database.js';
import { rowsRead } from '../../../test/support/rows-read.js';
import { RoomMemberListQueryDto } from './room-member.dto.js';
import { RoomMembersRepository } from './room-members.repository.js';
import { RoomMemberships } from './room-memberships.js';

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

/** A user who owns rooms in which there are also a member of long standing and a young admin. */
async function anOwner(database: Database, rooms: number): Promise<{ client: string; owner: string; admin: string }> {
  const [client, owner, admin, member] = [newId(), newId(), newId(), newId()];
  await database.query(`INSERT INTO clients (id, name, created_at, updated_at) VALUES ($1, 'c', now(), now())`, [
    client,
  ]);
  await database.query(
    `INSERT INTO users (client_id, id, username, meta, created_at, updated_at)
     SELECT $1, id, id::text, '{}', now(), now() FROM unnest($2::uuid[]) AS id`,
    [client, [owner, admin, member]],
  );
  await database.query(
    `WITH added AS (
       INSERT INTO rooms (client_id, id, name, room_type, visibility, max_members, meta, created_at, updated_at)
       SELECT $1, gen_random_uuid(), 'r', 'group', 'public', 10, '{}', now(), now() FROM generate_series(1, $5)
       RETURNING id
     ), counted AS (
       INSERT INTO room_counters (client_id, room_id, seq, member_count, last_change_at) SELECT $1, id, 3, 3, now() FROM added
     )
     INSERT INTO room_members (client_id, room_id, user_id, role, joined_at, change_seq, last_read_seq)
     SELECT $1, added.id, m.id, m.role, now() - m.age, 1, 0 FROM added, (VALUES
       ($2::uuid, 'owner', interval '2 days'), ($3, 'admin', interval '0'), ($4, 'member', interval '1 day')) AS m (id, role, age)`,
    [client, owner, admin, member, rooms],
  );
  return { client, owner, admin };
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
      const before = await rowsRead(tx, 'users', 'room_members');
      const page = await new RoomMembersRepository(tx as unknown as Database).list(client, room, query);
      assert.deepEqual([page.data.length, page.pagination.total], [20, members]);
      const read = (await rowsRead(tx, 'users', 'room_members')) - before;
      assert.ok(read < members * 10, `${read} rows for a page of ${members} members`);
    });
  });

  it('leave all rooms of a user at once: in as many statements for a thousand rooms as for one, reading each room by itself', async () => {
    const repository = new RoomMembersRepository(database);
    const hub = new Hub();
    const changes: RoomChange[] = [];
    hub.listen({ changed: (some) => changes.push(...some), told: () => undefined, erased: () => undefined });
    const memberships = new RoomMemberships(repository, new EventLog(), hub);
    const statements: number[] = [];
    for (const rooms of [1, 1_000]) {
      const { client, owner, admin } = await anOwner(database, rooms);
      const read = await database.run(async (tx) => {
        let count = 0;
        const before = await rowsRead(tx, 'users', 'room_members');
        const counting: Tx = { ...tx, query: (...asked) => (count++, tx.query(...asked)) };
        const roomIds = await repository.lockRoomsOf(counting, client, owner);
        await memberships.end(counting, client, owner, roomIds, 'deleted');
        statements.push(count);
        return (await rowsRead(tx, 'users', 'room_members')) - before;
      });
      assert.ok(read < rooms * 30, `${read} rows for ${rooms} rooms`);
      const states = await database.query(
        `SELECT c.seq::integer, c.member_count, array_agg(m.user_id) FILTER (WHERE m.role = 'owner') AS owners, count(*) AS n
         FROM room_counters c JOIN room_members m ON m.client_id = c.client_id AND m.room_id = c.room_id
           AND m.left_at IS NULL WHERE c.client_id = $1 GROUP BY c.room_id, 1, 2`,
        [client],
      );
      assert.equal(states.length, rooms);
      for (const state of states) assert.deepEqual(state, { seq: 4, member_count: 2, owners: [admin], n: 2 });
      assert.equal(new Set(changes.splice(0).map(({ roomId }) => roomId)).size, rooms);
    }
    assert.equal(statements[0], statements[1]);
  });
});
