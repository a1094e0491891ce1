import { ApiError } from '#libs/common';
import { uniqueViolation } from '#libs/database';

const FIELD_OF: Record<string, string> = {
  users_email_key: 'email',
  users_username_key: 'username',
  users_external_id_key: 'external_id',
};

/** 409 naming the taken field when a unique index of `users` refused; else the error itself. */
export function takenField(error: unknown): unknown {
  const field = FIELD_OF[uniqueViolation(error) ?? ''];
  if (field === undefined) return error;
  return new ApiError('CONFLICT', `A user with this ${field} exists`, {
    errors: [{ field, message: `${field} is taken` }],
  });
}
