import { ApiError, invalid } from '#libs/common';
import { EgressError } from '#libs/egress';

/** A refused target → a 422 on `url`; anything else stays as it is. */
export function targetFault(error: unknown): unknown {
  return error instanceof EgressError ? invalid({ field: 'url', message: `url: ${error.message}` }) : error;
}

/** 409: the endpoint is told of nothing. */
export function webhookInactive(): ApiError {
  return new ApiError('INVALID_STATE', 'The webhook is not active');
}

/** 409: the delivery has not come to an end. */
export function deliveryUnfinished(): ApiError {
  return new ApiError('INVALID_STATE', 'The delivery is still being tried');
}
