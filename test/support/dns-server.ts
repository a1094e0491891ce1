import { createSocket } from 'node:dgram';

/** Answers the addresses of a name; called once per question, so that it can change its mind. */
export type DnsAnswer = (name: string, type: 'A' | 'AAAA', question: number) => string[];

/** A name server on loopback. */
export interface DnsServer {
  /** As `NameResolver` takes it. */
  address: string;
  /** What was asked so far, as in `A name`. */
  asked: string[];
  close(): Promise<void>;
}

const TYPE_A = 1;
const TYPE_AAAA = 28;
const NAME_ERROR = 3;

function nameIn(packet: Buffer): { name: string; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = packet[at]!; length > 0; length = packet[at]!) {
    labels.push(packet.toString('latin1', at + 1, at + 1 + length));
    at += length + 1;
  }
  return { name: labels.join('.').toLowerCase(), end: at + 1 };
}

function bytesOf(address: string): Buffer {
  if (address.includes('.')) return Buffer.from(address.split('.').map(Number));
  const [head, tail] = address.split('::') as [string, string | undefined];
  const groups = (text: string) => (text ? text.split(':').map((group) => Number.parseInt(group, 16)) : []);
  const [first, last] = [groups(head), groups(tail ?? '')];
  const all = [...first, ...new Array<number>(8 - first.length - last.length).fill(0), ...last];
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 255]));
}

function answerTo(packet: Buffer, end: number, type: number, addresses: string[] | undefined): Buffer {
  const header = Buffer.alloc(12);
  packet.copy(header, 0, 0, 2);
  header.writeUInt16BE(0x8580 | (addresses ? 0 : NAME_ERROR), 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(addresses?.length ?? 0, 6);
  const records = (addresses ?? []).map((address) => {
    const data = bytesOf(address);
    const record = Buffer.alloc(12);
    record.writeUInt16BE(0xc00c, 0);
    record.writeUInt16BE(type, 2);
    record.writeUInt16BE(1, 4);
    record.writeUInt16BE(data.length, 10);
    return Buffer.concat([record, data]);
  });
  return Buffer.concat([header, packet.subarray(12, end + 4), ...records]);
}

/** Starts a name server on a free port of 127.0.0.1; names the answer knows nothing of do not exist. */
export async function startDnsServer(answer: DnsAnswer): Promise<DnsServer> {
  const socket = createSocket('udp4');
  const asked: string[] = [];
  socket.on('message', (packet, from) => {
    const { name, end } = nameIn(packet);
    const type = packet.readUInt16BE(end);
    const word = type === TYPE_A ? 'A' : type === TYPE_AAAA ? 'AAAA' : undefined;
    if (!word) return socket.send(answerTo(packet, end, type, undefined), from.port, from.address);
    const question = `${word} ${name}`;
    const addresses = answer(name, word, asked.filter((one) => one === question).length);
    asked.push(question);
    socket.send(answerTo(packet, end, type, addresses), from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return {
    address: `127.0.0.1:${socket.address().port}`,
    asked,
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}
