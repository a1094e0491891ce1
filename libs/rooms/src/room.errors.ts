import { ApiError } from '#libs/common';

/** 409: every seat is taken. */
export function roomFull(): ApiError {
  return new ApiError('ROOM_FULL', 'The room has no free seat');
}

/** 409: the room was switched off by hand. */
export function roomInactive(): ApiError {
  return new ApiError('ROOM_INACTIVE', 'The room is not active');
}
