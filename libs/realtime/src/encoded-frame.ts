import type { Frame } from '#libs/contracts';

const TEXT = 0x81;

/** A whole WebSocket text message as a server sends it: FIN, not masked, not compressed. */
export function websocketMessage(text: string): Buffer {
  const size = Buffer.byteLength(text);
  const head = size < 126 ? 2 : size < 65_536 ? 4 : 10;
  const message = Buffer.allocUnsafe(head + size);
  message[0] = TEXT;
  if (head === 2) message[1] = size;
  else if (head === 4) {
    message[1] = 126;
    message.writeUInt16BE(size, 2);
  } else {
    message[1] = 127;
    message.writeBigUInt64BE(BigInt(size), 2);
  }
  message.write(text, head);
  return message;
}

/** A frame in the forms the wires need, each made once however many receive it. */
export class EncodedFrame {
  private plainForm: Buffer | undefined;
  private socketIoForm: Buffer | undefined;

  constructor(
    readonly type: string,
    /** The frame as JSON text. */
    readonly json: string,
    /** 0: the frame has no number. */
    readonly seq = 0,
    /** Of `user_joined` and `user_left`: whose membership begins or ends. */
    readonly memberId?: string,
  ) {}

  static of(frame: Frame): EncodedFrame {
    const memberId =
      frame.type === 'user_joined' || frame.type === 'user_left'
        ? (frame.data as { user_id: string }).user_id
        : undefined;
    return new EncodedFrame(frame.type, JSON.stringify(frame), frame.seq ?? 0, memberId);
  }

  /** The message of the plain transport. */
  get plain(): Buffer {
    return (this.plainForm ??= websocketMessage(this.json));
  }

  /** The Socket.IO packet: an event of that name with the frame. */
  get packet(): string {
    return `2["${this.type}",${this.json}]`;
  }

  /** The packet as a WebSocket message of Engine.IO. */
  get socketIo(): Buffer {
    return (this.socketIoForm ??= websocketMessage(`4${this.packet}`));
  }
}

/** Frames that leave together, joined once for every receiver of the same transport. */
export class Bundle {
  private plainBytes: Buffer | undefined;
  private socketIoBytes: Buffer | undefined;

  constructor(readonly frames: readonly EncodedFrame[]) {}

  get plain(): Buffer {
    return (this.plainBytes ??= join(this.frames.map((frame) => frame.plain)));
  }

  get socketIo(): Buffer {
    return (this.socketIoBytes ??= join(this.frames.map((frame) => frame.socketIo)));
  }

  /** What of it comes after a seq; frames without a number stay. */
  after(seq: number): Bundle | undefined {
    const frames = this.frames.filter((frame) => frame.seq === 0 || frame.seq > seq);
    if (frames.length === this.frames.length) return this;
    return frames.length > 0 ? new Bundle(frames) : undefined;
  }
}

function join(buffers: Buffer[]): Buffer {
  return buffers.length === 1 ? buffers[0]! : Buffer.concat(buffers);
}
