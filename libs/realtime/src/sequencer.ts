import type { EncodedFrame } from './encoded-frame.js';

const MAX_WAITING = 2_000;

/** What a room's frames pass on their way out; tests put broken ones in its place. */
export interface FrameOrder {
  /** Everything up to here has been released; undefined until {@link start}. */
  readonly position: number | undefined;
  /** Whether something is known to be missing. */
  readonly hasHole: boolean;
  start(position: number): EncodedFrame[];
  offer(frame: EncodedFrame): EncodedFrame[];
  fill(frames: EncodedFrame[], upTo: number): EncodedFrame[];
}

/** Releases a room's numbered frames in order, none twice; what comes early waits for what is missing. */
export class Sequencer implements FrameOrder {
  position: number | undefined;
  private readonly waiting = new Map<number, EncodedFrame>();
  private dropped = false;

  get hasHole(): boolean {
    return this.position !== undefined && (this.waiting.size > 0 || this.dropped);
  }

  /** Sets the position, once it is known; what waits after it is released. */
  start(position: number): EncodedFrame[] {
    if (this.position !== undefined) return [];
    return this.advance(position, []);
  }

  /** A frame as it was told of; returns what may go out now. */
  offer(frame: EncodedFrame): EncodedFrame[] {
    const { position } = this;
    if (position !== undefined && frame.seq <= position) return [];
    if (frame.seq === (position ?? -1) + 1 && position !== undefined) return this.advance(frame.seq, [frame]);
    // Nothing is lost by forgetting: the database has it.
    if (this.waiting.size >= MAX_WAITING) {
      this.waiting.clear();
      this.dropped = true;
    }
    this.waiting.set(frame.seq, frame);
    return [];
  }

  /** The changes after the position as the database has them, complete up to a seq. States in between may be merged. */
  fill(frames: EncodedFrame[], upTo: number): EncodedFrame[] {
    const position = this.position ?? 0;
    this.dropped = false;
    if (upTo <= position) return [];
    return this.advance(
      upTo,
      frames.filter((frame) => frame.seq > position && frame.seq <= upTo),
    );
  }

  private advance(to: number, released: EncodedFrame[]): EncodedFrame[] {
    let position = to;
    if (this.waiting.size > 0) {
      for (const seq of this.waiting.keys()) if (seq <= position) this.waiting.delete(seq);
      for (let next = this.waiting.get(position + 1); next; next = this.waiting.get(position + 1)) {
        this.waiting.delete(next.seq);
        released.push(next);
        position = next.seq;
      }
    }
    this.position = position;
    return released;
  }
}
