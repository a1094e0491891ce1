/** The reference of the delivery benchmark: nodemailer's own pool, as many mails as it takes, nothing else. */
import { createTransport } from 'nodemailer';

const [url, pool, mails, content] = process.argv.slice(2) as [string, string, string, string];
const { hostname, port } = new URL(url);
const transport = createTransport({
  host: hostname,
  port: Number(port),
  pool: true,
  maxConnections: Number(pool),
  maxMessages: Infinity,
  ignoreTLS: true,
});
let next = 0;
const lane = async (): Promise<void> => {
  while (next < Number(mails)) {
    const to = `user${next++}@example.com`;
    await transport.sendMail({ from: 'bench@example.com', to, subject: 'Benchmark', html: content, text: 'Benchmark' });
  }
};
await Promise.all(Array.from({ length: 2 * Number(pool) }, lane));
transport.close();
