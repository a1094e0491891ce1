// Two users talk through the generated types: REST, errors, pages, repeats, and the real-time channel beside it.
// BASE=http://localhost:8000 node dist/chat.js     see docs/sdk.md
import { randomUUID } from 'node:crypto';
import { io, type Socket } from 'socket.io-client';
import { ChatApiError, connect, everyRow, ok, type Schemas } from './client.ts';

const BASE = process.env['BASE'] ?? 'http://localhost:8000';

const { data: app } = await ok(connect(BASE).POST('/api/v1/clients', { body: { name: 'My app' } }));
const server = connect(BASE, app.master_api_key);

async function createUser(username: string) {
  const body = { username, email: `${username}@example.com`, full_name: username };
  const { data } = await ok(
    server.POST('/api/v1/users', { body, params: { header: { 'Idempotency-Key': randomUUID() } } }),
  );
  return { id: data.id, key: data.scoped_api_key, api: connect(BASE, data.scoped_api_key) };
}
const ann = await createUser('ann');
const bob = await createUser('bob');

const { data: room } = await ok(
  ann.api.POST('/api/v1/rooms', {
    body: { name: 'Lunch', visibility: 'private', member_ids: [bob.id] },
    params: { header: { 'Idempotency-Key': randomUUID() } },
  }),
);

// What a socket is told has the types of the changes feed: `type` says which data a frame has.
type Frames = { [Frame in Schemas['ChangeFrameDto'] as Frame['type']]: (frame: Frame) => void };
const socket: Socket<Frames & { connection_status: () => void }> = io(BASE, { auth: { token: bob.key } });
socket.on('message', ({ seq, data }) => console.log(`live ${seq} ${data.sender_name}: ${data.content}`));
await new Promise<void>((resolve, reject) => {
  socket.once('connection_status', resolve);
  socket.once('connect_error', reject);
});

/** The id is good for both: the request may be repeated, and the message is recognised when it comes back live. */
async function send(content: string) {
  const id = randomUUID();
  const heard = new Promise<void>((resolve) => {
    socket.on('message', ({ data }) => data.client_message_id === id && resolve());
  });
  await ok(
    ann.api.POST('/api/v1/messages', {
      body: { room_id: room.id, content, client_message_id: id },
      params: { header: { 'Idempotency-Key': id } },
    }),
  );
  await heard;
}
for (const content of ['Hello Bob', 'Lunch?', 'At noon']) await send(content);
socket.disconnect();

const query = { room_id: room.id, sort: 'seq', order: 'asc', size: 2 } as const;
const messages = everyRow((from) => ok(bob.api.GET('/api/v1/messages', { params: { query: { ...query, ...from } } })));
for await (const { seq, content } of messages) console.log(`page ${seq} ${content}`);

try {
  await ok(bob.api.POST('/api/v1/messages', { body: { room_id: room.id, content: '' } }));
} catch (error) {
  if (!(error instanceof ChatApiError)) throw error;
  const fields = error.body?.errors?.map(({ field }) => field).join(', ');
  console.log(`refused ${error.status} ${error.body?.error_code} ${fields}`);
}
