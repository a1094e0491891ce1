// Follows a room over Socket.IO and says hello; run it again and it prints what it missed.
// BASE=http://localhost:8000 USER_KEY=sk_user_… ROOM_ID=… node examples/realtime/socketio.mjs     needs socket.io-client
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { io } from 'socket.io-client';

const { BASE = 'http://localhost:8000', USER_KEY, ROOM_ID, SEQ_FILE = `${ROOM_ID}.seq` } = process.env;
let seq = existsSync(SEQ_FILE) ? Number(readFileSync(SEQ_FILE, 'utf8')) : 0;
let live = false;
const mine = `hello-${Date.now()}`;

const socket = io(BASE, { auth: { token: USER_KEY } });

// A real client stores the number together with what it applied.
function apply(frame) {
  if (frame.seq <= seq) return;
  console.log(frame.seq, frame.type, frame.data.content ?? frame.data.user_name ?? frame.data.id);
  seq = frame.seq;
  writeFileSync(SEQ_FILE, `${seq}`);
  if (frame.data.client_message_id === mine) socket.disconnect();
}

async function ask(command, data) {
  const { data: result, error } = await socket.timeout(10_000).emitWithAck(command, data);
  if (error) throw new Error(`${command}: ${error.error_code} ${error.detail}`);
  return result;
}

for (const type of ['message', 'message_updated', 'message_deleted', 'user_joined', 'user_left']) {
  socket.on(type, (frame) => live && frame.room_id === ROOM_ID && apply(frame));
}
socket.on('error', ({ data }) => console.error(data.error_code, data.detail));
socket.on('disconnect', () => (live = false));
socket.on('connection_status', async () => {
  const answer = await ask('subscribe', { room_id: ROOM_ID, after_seq: seq });
  if (!answer.recovered) throw new Error('More than 1,000 changes behind: page through GET /rooms/{room_id}/changes');
  answer.frames.forEach(apply);
  seq = Math.max(seq, answer.seq);
  live = true;
  await ask('send_message', { room_id: ROOM_ID, content: 'Hello over Socket.IO', client_message_id: mine });
});
