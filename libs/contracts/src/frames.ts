/** Frames that carry a `seq`: a change of a room's conversation. */
export const CHANGE_FRAMES = ['message', 'message_updated', 'message_deleted', 'user_joined', 'user_left'] as const;

/** One of {@link CHANGE_FRAMES}. */
export type ChangeFrameType = (typeof CHANGE_FRAMES)[number];

/** Every frame a server sends but `ack`, which answers a command. A type that is not here does not compile. */
export const FRAME_TYPES = [
  'connection_status',
  ...CHANGE_FRAMES,
  'typing',
  'presence',
  'read',
  'notification',
  'resync',
  'error',
  'pong',
] as const;

/** One of {@link FRAME_TYPES}. */
export type FrameType = (typeof FRAME_TYPES)[number];

/** What a server tells a socket. */
export interface Frame {
  type: FrameType;
  room_id?: string;
  /** Set on {@link CHANGE_FRAMES}: the room's number of the change. */
  seq?: number;
  data: object;
  /** RFC 3339. */
  timestamp: string;
}

/** Why a membership ended. */
export const LEAVE_REASONS = ['left', 'removed', 'deleted'] as const;

/** One of {@link LEAVE_REASONS}. */
export type LeaveReason = (typeof LEAVE_REASONS)[number];
