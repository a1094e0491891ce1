import type { FieldError } from '#libs/common';
import type { FrameType } from '#libs/contracts';
import { EncodedFrame } from './encoded-frame.js';

/** A frame of the server, stamped now. */
export function serverFrame(type: FrameType, data: object, roomId?: string): EncodedFrame {
  const frame = {
    type,
    ...(roomId === undefined ? {} : { room_id: roomId }),
    data,
    timestamp: new Date().toISOString(),
  };
  return new EncodedFrame(type, JSON.stringify(frame));
}

/** What an `error` frame says. */
export interface Fault {
  code: string;
  detail: string;
  ref?: unknown;
  roomId?: string;
  closeCode?: number;
  errors?: FieldError[];
  retryAfter?: number;
}

/** The `data` of an `error` frame. */
export function faultData({ code, detail, ref, closeCode, errors, retryAfter }: Fault): object {
  return { error_code: code, detail, ref: ref ?? null, errors, retry_after: retryAfter, close_code: closeCode };
}

/** An `error` frame. */
export function errorFrame(fault: Fault): EncodedFrame {
  return serverFrame('error', faultData(fault), fault.roomId);
}

/** This connection is not kept gap-free in the room any more: it hears nothing of it until it subscribes again. */
export function resyncFrame(roomId: string, seq: number): EncodedFrame {
  return serverFrame('resync', { room_id: roomId, seq }, roomId);
}
