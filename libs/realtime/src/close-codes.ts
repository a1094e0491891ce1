import { ApiError, type ErrorCode } from '#libs/common';

/** Why the server ends a connection, as WebSocket close codes. */
export const CLOSE = {
  goingAway: 1001,
  invalidKey: 4001,
  noSuchRoom: 4002,
  accessDenied: 4003,
  limitExceeded: 4004,
  tooSlow: 4008,
} as const;

/** One of {@link CLOSE}. */
export type CloseCode = (typeof CLOSE)[keyof typeof CLOSE];

/** A reason to end a connection, told in an `error` frame first. */
export interface Closing {
  code: CloseCode;
  errorCode: ErrorCode;
  detail: string;
}

/** The closing that follows from an error during connecting. */
export function closingOf(error: ApiError): Closing {
  const code =
    error.status === 401
      ? CLOSE.invalidKey
      : error.status === 429
        ? CLOSE.limitExceeded
        : error.status >= 500
          ? CLOSE.goingAway
          : CLOSE.accessDenied;
  return { code, errorCode: error.code, detail: error.message };
}

/** The server is stopping; the client comes back to another process. */
export const GOING_AWAY: Closing = {
  code: CLOSE.goingAway,
  errorCode: 'SERVICE_UNAVAILABLE',
  detail: 'The server is going away; reconnect',
};

/** The reader left more in its buffer than the server keeps. */
export const TOO_SLOW: Closing = {
  code: CLOSE.tooSlow,
  errorCode: 'RATE_LIMIT_EXCEEDED',
  detail: 'Too slow: reconnect and resume',
};
