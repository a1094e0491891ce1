/** Every error code of the API with its HTTP status: the one table both the filter and the OpenAPI document read. */
export const ERROR_STATUS = {
  BAD_REQUEST: 400,
  INVALID_CREDENTIALS: 401,
  KEY_EXPIRED: 401,
  INSUFFICIENT_PERMISSIONS: 403,
  RESOURCE_NOT_FOUND: 404,
  REQUEST_TIMEOUT: 408,
  CONFLICT: 409,
  ROOM_FULL: 409,
  ROOM_INACTIVE: 409,
  IDEMPOTENCY_IN_PROGRESS: 409,
  INVALID_STATE: 409,
  PAYLOAD_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  VALIDATION_ERROR: 422,
  IDEMPOTENCY_KEY_REUSED: 422,
  RATE_LIMIT_EXCEEDED: 429,
  HEADERS_TOO_LARGE: 431,
  INTERNAL_ERROR: 500,
  SERVICE_UNAVAILABLE: 503,
} as const;

/** A code of {@link ERROR_STATUS}. */
export type ErrorCode = keyof typeof ERROR_STATUS;

/** One wrong field: `field` is its path in the body, or the parameter's name. */
export interface FieldError {
  field: string;
  message: string;
}

/** What an error may carry besides code and public detail. `cause` goes to the log only. */
export interface ApiErrorOptions {
  errors?: FieldError[];
  retryAfterSeconds?: number;
  cause?: unknown;
}

/** The error every layer throws; `message` is public text and never holds a secret, a content or an address. */
export class ApiError extends Error {
  readonly status: number;
  readonly errors: FieldError[] | undefined;
  readonly retryAfterSeconds: number | undefined;

  constructor(
    readonly code: ErrorCode,
    detail: string,
    options: ApiErrorOptions = {},
  ) {
    super(detail, { cause: options.cause });
    this.status = ERROR_STATUS[code];
    this.errors = options.errors;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

/** 404 with the same words whether the thing never existed or belongs to another tenant. */
export function notFound(what: string): ApiError {
  return new ApiError('RESOURCE_NOT_FOUND', `${what} not found`);
}

/** 422 naming each wrong field. */
export function invalid(...errors: FieldError[]): ApiError {
  return new ApiError('VALIDATION_ERROR', 'Validation error in request data', { errors });
}

/** 403: right tenant, wrong kind of key, role or membership. */
export function forbidden(detail: string): ApiError {
  return new ApiError('INSUFFICIENT_PERMISSIONS', detail);
}

/** 503 that asks to come back after `retryAfterSeconds`. */
export function unavailable(detail: string, cause?: unknown, retryAfterSeconds = 1): ApiError {
  return new ApiError('SERVICE_UNAVAILABLE', detail, { retryAfterSeconds, cause });
}
