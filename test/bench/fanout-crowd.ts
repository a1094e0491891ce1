/** The receivers and the publisher, in a process of their own. Frames are counted, not parsed: what is measured is the server. */
import { Agent, request } from 'node:http';
import { connect, type Socket } from 'node:net';

/** Receivers of one server. */
export interface CrowdOptions {
  name: string;
  port: number;
  way: 'websocket' | 'socketio';
  token: string | undefined;
  count: number;
}

/** One measurement of one crowd. */
export interface PublishOptions {
  name: string;
  url: string;
  headers: Record<string, string>;
  body: string;
  inFlight: number;
  ms: number;
}

/** What a measurement found. */
export interface Published {
  messages: number;
  deliveries: number;
  seconds: number;
  /** From the answer to the publisher until the last receiver had it, in milliseconds. */
  answeredP99Ms: number;
  /** From the publisher's request until the last receiver had it, in milliseconds. */
  p50Ms: number;
  p99Ms: number;
}

const READ = Buffer.alloc(1024 * 1024);
const KEY = Buffer.from('0123456789abcdef').toString('base64');

/** Counts the frames of a type in a stream of WebSocket messages, by their size: greetings and pings are smaller. */
class Receiver {
  count = 0;
  private pending: Buffer | undefined;

  constructor(
    readonly socket: Socket,
    private readonly onCount: (count: number) => void,
    private readonly onText: (text: string) => void,
  ) {}

  read(chunk: Buffer): void {
    let data = this.pending ? Buffer.concat([this.pending, chunk]) : chunk;
    for (;;) {
      if (data.length < 2) break;
      let size = data[1]! & 0x7f;
      let head = 2;
      if (size === 126) {
        if (data.length < 4) break;
        size = data.readUInt16BE(2);
        head = 4;
      } else if (size === 127) throw new Error('A frame is longer than expected');
      if (data.length < head + size) break;
      // The frames of the measurement are the only ones whose text begins like this.
      const start = data.toString('latin1', head, head + 16);
      if (start.startsWith('{"type":"message') || start.startsWith('42["message"')) this.onCount(++this.count);
      else this.onText(data.toString('utf8', head, head + size));
      data = data.subarray(head + size);
    }
    this.pending = data.length > 0 ? Buffer.from(data) : undefined;
  }
}

/** A masked text message, as clients send it; the mask is zero. */
function clientText(text: string): Buffer {
  const size = Buffer.byteLength(text);
  const head = size < 126 ? Buffer.from([0x81, 0x80 | size]) : Buffer.from([0x81, 0xfe, size >> 8, size & 0xff]);
  return Buffer.concat([head, Buffer.alloc(4), Buffer.from(text)]);
}

class Crowd {
  private readonly arrivals: number[] = [];
  private readonly done: number[] = [];
  private waiting: (() => void)[] = [];
  private reached = 0;

  private constructor(
    private readonly options: CrowdOptions,
    private readonly receivers: Receiver[],
  ) {}

  static async open(options: CrowdOptions): Promise<Crowd> {
    const crowd = new Crowd(options, []);
    for (let made = 0; made < options.count; made += 50) {
      const batch = Math.min(50, options.count - made);
      await Promise.all(Array.from({ length: batch }, () => crowd.join()));
    }
    return crowd;
  }

  private join(): Promise<void> {
    const { port, way, token } = this.options;
    const path = way === 'websocket' ? '/api/v1/websocket/open' : '/socket.io/?EIO=4&transport=websocket';
    const authorization = token && way === 'websocket' ? `Authorization: Bearer ${token}\r\n` : '';
    let take: (chunk: Buffer) => void = () => undefined;
    // Read into one buffer, without a stream: the receivers share the machine with what is measured.
    const onread = {
      buffer: READ,
      callback: (size: number, buffer: Uint8Array) => {
        take(Buffer.from(buffer.buffer, buffer.byteOffset, size));
        return true;
      },
    };
    const socket = connect({ port, host: '127.0.0.1', noDelay: true, onread });
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n` +
        `Sec-WebSocket-Key: ${KEY}\r\n${authorization}\r\n`,
    );
    return new Promise((resolve, reject) => {
      const heard = (text: string): void => {
        if (text.startsWith('0{')) socket.write(clientText(token ? `40{"token":"${token}"}` : '40'));
        else if (text === '2') socket.write(clientText('3'));
        else if (text.includes('connection_status') || (!token && text.startsWith('40'))) resolve();
        else if (text.includes('"error"')) reject(new Error(text));
      };
      const receiver = new Receiver(socket, (count) => this.arrived(count), heard);
      this.receivers.push(receiver);
      let upgraded = false;
      socket.on('error', reject);
      socket.on('close', () => reject(new Error('The server closed a receiver')));
      take = (chunk) => {
        if (upgraded) return receiver.read(chunk);
        const end = chunk.indexOf('\r\n\r\n');
        upgraded = true;
        if (!token && way === 'websocket') resolve();
        if (chunk.length > end + 4) receiver.read(chunk.subarray(end + 4));
      };
    });
  }

  /** The nth frame has reached one more receiver. */
  private arrived(count: number): void {
    const all = (this.arrivals[count] = (this.arrivals[count] ?? 0) + 1);
    if (all < this.receivers.length) return;
    this.done[count] = performance.now();
    this.reached = count;
    for (const wake of this.waiting.splice(0)) wake();
  }

  async publish(options: PublishOptions): Promise<Published> {
    const agent = new Agent({ keepAlive: true, maxSockets: options.inFlight });
    const first = this.reached + 1;
    const sent: { seq: number; from: number; answered: number }[] = [];
    const start = performance.now();
    const lane = async (): Promise<void> => {
      while (performance.now() - start < options.ms) {
        const from = performance.now();
        const seq = await post(agent, options);
        sent.push({ seq, from, answered: performance.now() });
        // One at a time means until the last receiver has it; with more in flight only the server sets the pace, and
        // a bound keeps a slow one from piling up.
        const count = sent.length;
        const ahead = options.inFlight === 1 ? 1 : options.inFlight * 4;
        while (first + count - ahead > this.reached) await new Promise<void>((resolve) => this.waiting.push(resolve));
      }
    };
    await Promise.all(Array.from({ length: options.inFlight }, lane));
    const last = first + sent.length - 1;
    while (this.reached < last) await new Promise<void>((resolve) => this.waiting.push(resolve));
    const seconds = (performance.now() - start) / 1000;
    agent.destroy();
    // Receivers hear in the order of the numbers, which the answers carry.
    sent.sort((a, b) => a.seq - b.seq);
    const from = sent.map((one, index) => this.done[first + index]! - one.from);
    const answered = sent.map((one, index) => Math.max(0, this.done[first + index]! - one.answered));
    const messages = sent.length;
    return {
      messages,
      deliveries: messages * this.receivers.length,
      seconds,
      answeredP99Ms: quantile(answered, 0.99),
      p50Ms: quantile(from, 0.5),
      p99Ms: quantile(from, 0.99),
    };
  }
}

function quantile(values: number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}

function post(agent: Agent, { url, headers, body }: PublishOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    const call = request(url, { method: 'POST', agent, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => {
        const seq = (JSON.parse(text) as { data?: { seq?: number } }).data?.seq;
        if (seq === undefined) reject(new Error(`${response.statusCode} ${text}`));
        else resolve(seq);
      });
    });
    call.on('error', reject);
    call.end(body);
  });
}

const crowds = new Map<string, Crowd>();
type Task = { open: CrowdOptions } | { publish: PublishOptions };
process.on('message', (task: Task) => {
  const work =
    'open' in task
      ? Crowd.open(task.open).then((crowd) => void crowds.set(task.open.name, crowd))
      : crowds.get(task.publish.name)!.publish(task.publish);
  work.then(
    (result) => process.send!({ result }),
    (error: Error) => process.send!({ error: error.message }),
  );
});
