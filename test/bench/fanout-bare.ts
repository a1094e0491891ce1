/** The bare servers fan-out is compared with: stock Socket.IO, and `ws` in a loop. `POST /publish` broadcasts the body. */
import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { WebSocketServer } from 'ws';

const http = createServer();
const ignore = (): void => undefined;
const isWs = process.env['BARE'] === 'ws';
let broadcast: (text: string) => void;
if (isWs) {
  const server = new WebSocketServer({ server: http, perMessageDeflate: false });
  // What any server needs to do with a socket at least.
  server.on('connection', (socket) => socket.on('message', ignore).on('error', ignore));
  broadcast = (text) => {
    const data = Buffer.from(text);
    for (const client of server.clients) client.send(data, { binary: false });
  };
} else {
  const io = new Server(http, { perMessageDeflate: false });
  broadcast = (text) => io.emit('message', JSON.parse(text));
}
let published = 0;
http.on('request', (request, response) => {
  if (request.method !== 'POST' || request.url !== '/publish') return;
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    broadcast(Buffer.concat(parts).toString());
    response.end(JSON.stringify({ data: { seq: ++published } }));
  });
});
http.listen(Number(process.env['PORT']), '127.0.0.1', () => process.send!('ready'));
