/** Frames that carry a `seq`: a change of a room's conversation. */
export const CHANGE_FRAMES = ['message', 'message_updated', 'message_deleted', 'user_joined', 'user_left'] as const;

/** What a server tells a socket. */
export interface Frame {
  type: string;
  room_id?: string;
  /** Set on {@link CHANGE_FRAMES}: the room's number of the change. */
  seq?: number;
  data: object;
  /** RFC 3339. */
  timestamp: string;
}

/** Why a membership ended. */
export type LeaveReason = 'left' | 'removed' | 'deleted';
