import { ApiError } from '#libs/common';

/** 409: something was tried already, or it is at its end. */
export function notPending(): ApiError {
  return new ApiError('INVALID_STATE', 'Only a pending notification can be cancelled');
}

/** 409: there is no recipient that failed, or some are still being tried. */
export function notFailed(): ApiError {
  return new ApiError('INVALID_STATE', 'Only a failed or partial notification can be retried');
}
