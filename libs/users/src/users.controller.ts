import { Body, Controller, Delete, Get, Param, Post, Put, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { notFound, Returns, ReturnsNothing, ReturnsPage, type Page } from '#libs/common';
import { Caller, ClientScopes, Idempotent, Limit, Scopes, type Principal } from '#libs/security';
import {
  CreatedUserDto,
  UserCreateDto,
  UserDto,
  UserListQueryDto,
  UserLoginDto,
  UserLoginResultDto,
  UserUpdateDto,
} from './user.dto.js';
import { UsersService } from './users.service.js';

function ownId(caller: Principal): string {
  if (caller.userId === undefined) throw notFound('User');
  return caller.userId;
}

/** End users and their keys. */
@ApiTags('Users')
@Controller('users')
export class UsersController {
  constructor(private readonly users: UsersService) {}

  /** Create a user; the answer holds the user's key once. */
  @Post()
  @ClientScopes('users:write')
  @Idempotent()
  @Returns(CreatedUserDto, { status: 201, errors: ['CONFLICT'] })
  create(@Caller() caller: Principal, @Body() body: UserCreateDto): Promise<CreatedUserDto> {
    return this.users.create(caller, body);
  }

  /** Sign a user in: a new key replaces the older ones. */
  @Post('login')
  @ClientScopes('users:write')
  @Limit('authentication')
  @Returns(UserLoginResultDto, { errors: ['RESOURCE_NOT_FOUND'] })
  login(@Caller() caller: Principal, @Body() body: UserLoginDto): Promise<UserLoginResultDto> {
    return this.users.login(caller, body);
  }

  /** List users. */
  @Get()
  @ClientScopes('users:read')
  @ReturnsPage(UserDto)
  list(@Caller() caller: Principal, @Query() query: UserListQueryDto): Promise<Page<UserDto>> {
    return this.users.list(caller, query);
  }

  /** Get the user the key belongs to. */
  @Get('me')
  @Scopes('users:read')
  @Returns(UserDto, { errors: ['RESOURCE_NOT_FOUND'] })
  me(@Caller() caller: Principal): Promise<UserDto> {
    return this.users.get(caller, ownId(caller));
  }

  /** Update the user the key belongs to. */
  @Put('me')
  @Scopes('users:write')
  @Returns(UserDto, { errors: ['RESOURCE_NOT_FOUND', 'CONFLICT'] })
  updateMe(@Caller() caller: Principal, @Body() body: UserUpdateDto): Promise<UserDto> {
    return this.users.update(caller, ownId(caller), body);
  }

  /** Get a user. */
  @Get(':user_id')
  @Scopes('users:read')
  @Returns(UserDto)
  get(@Caller() caller: Principal, @Param('user_id') userId: string): Promise<UserDto> {
    return this.users.get(caller, userId);
  }

  /** Update a user. */
  @Put(':user_id')
  @Scopes('users:write')
  @Returns(UserDto, { errors: ['CONFLICT'] })
  update(@Caller() caller: Principal, @Param('user_id') userId: string, @Body() body: UserUpdateDto): Promise<UserDto> {
    return this.users.update(caller, userId, body);
  }

  /** Delete a user; the messages stay. */
  @Delete(':user_id')
  @ClientScopes('users:write')
  @ReturnsNothing()
  remove(@Caller() caller: Principal, @Param('user_id') userId: string): Promise<void> {
    return this.users.remove(caller, userId);
  }
}
