import { Email, Flag, Id, Instant, ListQueryDto, Meta, Nullable, OneOf, Optional, Text } from '#libs/common';
import { ApiProperty } from '@nestjs/swagger';
import { IsObject } from 'class-validator';

/** An end user of a client. */
export class UserDto {
  /** Identifier. */
  @Id()
  id: string;

  /** The integrator's own id. */
  @Nullable()
  @Text(1, 255, { example: 'crm-4711' })
  external_id: string | null;

  /** E-mail address. */
  @Email()
  email: string;

  /** Name to sign in and be mentioned with. */
  @Text(1, 100, { example: 'john_doe' })
  username: string;

  /** Display name. */
  @Nullable()
  @Text(0, 255, { example: 'John Doe' })
  full_name: string | null;

  /** Free data of the integrator, at most 16 KiB. */
  @Meta()
  meta: object;

  /** False: keys are revoked and nobody can sign in as this user. */
  @Flag()
  is_active: boolean;

  /** When the user was last seen, to the minute. */
  @Nullable()
  @Instant()
  last_seen_at: string | null;

  /** When it was created. */
  @Instant()
  created_at: string;

  /** When it was last changed. */
  @Instant()
  updated_at: string;
}

/** A user as answered once, at creation. */
export class CreatedUserDto extends UserDto {
  /** The user's key. It is shown this once. */
  @Text(60, 60, { example: 'sk_user_aB3dE6gH_0123456789012345678901234567890123456789abc' })
  scoped_api_key: string;

  /** When that key stops working. */
  @Instant()
  expires_at: string;
}

/** What a login answers. */
export class UserLoginResultDto {
  /** The user. */
  @ApiProperty({ type: () => UserDto })
  @IsObject()
  user: UserDto;

  /** The user's new key. It is shown this once. */
  @Text(60, 60, { example: 'sk_user_aB3dE6gH_0123456789012345678901234567890123456789abc' })
  scoped_api_key: string;

  /** When that key stops working. */
  @Instant()
  expires_at: string;
}

/** What creates a user. */
export class UserCreateDto {
  /** E-mail address, unique per client without regard to case. */
  @Email()
  email: string;

  /** Unique per client, 1–100 characters. */
  @Text(1, 100, { example: 'john_doe' })
  username: string;

  /** Display name, at most 255 characters. */
  @Optional()
  @Nullable()
  @Text(0, 255, { example: 'John Doe' })
  full_name?: string | null;

  /** The integrator's own id, unique per client, at most 255 characters. */
  @Optional()
  @Nullable()
  @Text(1, 255, { example: 'crm-4711' })
  external_id?: string | null;

  /** Free data, a JSON object of at most 16 KiB. */
  @Optional()
  @Meta()
  meta?: object;
}

/** Changes to a user; what is left out stays. A user key may change username, full_name and meta. */
export class UserUpdateDto {
  /** E-mail address. */
  @Optional()
  @Email()
  email?: string;

  /** Unique per client, 1–100 characters. */
  @Optional()
  @Text(1, 100, { example: 'john_doe' })
  username?: string;

  /** Display name, at most 255 characters. */
  @Optional()
  @Nullable()
  @Text(0, 255, { example: 'John Doe' })
  full_name?: string | null;

  /** The integrator's own id. */
  @Optional()
  @Nullable()
  @Text(1, 255, { example: 'crm-4711' })
  external_id?: string | null;

  /** Free data; replaces what was there. */
  @Optional()
  @Meta()
  meta?: object;

  /** False revokes the user's keys and closes its sockets. */
  @Optional()
  @Flag()
  is_active?: boolean;
}

/** Names the user to sign in: exactly one of the three. */
export class UserLoginDto {
  /** E-mail address. */
  @Optional()
  @Email()
  email?: string;

  /** Identifier. */
  @Optional()
  @Id()
  user_id?: string;

  /** The integrator's own id. */
  @Optional()
  @Text(1, 255, { example: 'crm-4711' })
  external_id?: string;

  /** Device name, 1–100 characters: only this device's older key is replaced. */
  @Optional()
  @Text(1, 100, { example: 'phone' })
  device?: string;
}

/** How users are listed. */
export class UserListQueryDto extends ListQueryDto {
  /** Start of the e-mail address, username or full name, without regard to case. */
  @Optional()
  @Text(1, 255, { example: 'john' })
  search?: string;

  /** Only active, or only inactive users. */
  @Optional()
  @Flag()
  is_active?: boolean;

  /** Sort column. */
  @Optional()
  @OneOf(['created_at', 'username', 'email', 'last_seen_at'])
  override sort?: string = 'created_at';
}
