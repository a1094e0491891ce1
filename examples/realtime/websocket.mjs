// Follows a room over plain WebSocket and says hello; run it again and it prints what it missed.
// BASE=http://localhost:8000 USER_KEY=sk_user_… ROOM_ID=… node examples/realtime/websocket.mjs     needs ws
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { WebSocket } from 'ws';

const { BASE = 'http://localhost:8000', USER_KEY, ROOM_ID, SEQ_FILE = `${ROOM_ID}.seq` } = process.env;
let seq = existsSync(SEQ_FILE) ? Number(readFileSync(SEQ_FILE, 'utf8')) : 0;
let live = false;
const mine = `hello-${Date.now()}`;

const socket = new WebSocket(`${BASE.replace('http', 'ws')}/api/v1/websocket/open`, {
  headers: { Authorization: `Bearer ${USER_KEY}` },
});
const send = (type, data) => socket.send(JSON.stringify({ type, ref: type, data }));

function apply(frame) {
  if (frame.seq <= seq) return;
  console.log(frame.seq, frame.type, frame.data.content ?? frame.data.user_name ?? frame.data.id);
  seq = frame.seq;
  writeFileSync(SEQ_FILE, `${seq}`);
  if (frame.data.client_message_id === mine) socket.close();
}

socket.on('message', (text) => {
  const frame = JSON.parse(text);
  if (frame.type === 'connection_status') send('subscribe', { room_id: ROOM_ID, after_seq: seq });
  else if (frame.type === 'error') throw new Error(`${frame.data.error_code} ${frame.data.detail}`);
  else if (frame.type === 'ack' && frame.ref === 'subscribe') {
    if (!frame.data.recovered)
      throw new Error('More than 1,000 changes behind: page through GET /rooms/{room_id}/changes');
    frame.data.frames.forEach(apply);
    seq = Math.max(seq, frame.data.seq);
    live = true;
    send('send_message', { room_id: ROOM_ID, content: 'Hello over WebSocket', client_message_id: mine });
  } else if (live && frame.seq !== undefined && frame.room_id === ROOM_ID) apply(frame);
});
