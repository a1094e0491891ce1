// A receiver of webhooks in Node with the reference library of Standard Webhooks.
// Usage: npm install standardwebhooks
//        WEBHOOK_SECRET=whsec_... PORT=9000 node webhook-receiver.mjs
import { createServer } from 'node:http';
import { Webhook } from 'standardwebhooks';

const webhook = new Webhook(process.env.WEBHOOK_SECRET);
const seen = new Set(); // Yours is a table with a unique key: it has to outlive the process.

const server = createServer((request, response) => {
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    let event;
    try {
      // The raw bytes, as they came: JSON that was parsed and written again has another signature.
      event = webhook.verify(Buffer.concat(parts).toString('utf8'), request.headers);
    } catch {
      response.writeHead(401).end();
      return;
    }
    const id = request.headers['webhook-id'];
    if (!seen.has(id)) {
      seen.add(id);
      console.log(`${event.event} ${event.id}`); // Yours puts it in a queue, and works on it after the answer.
    }
    response.writeHead(204).end();
  });
});
server.listen(Number(process.env.PORT ?? 9000), '127.0.0.1');
