import { Module } from '@nestjs/common';
import { UserLifecycle } from './user-lifecycle.js';
import { UsersController } from './users.controller.js';
import { UsersRepository } from './users.repository.js';
import { UsersService } from './users.service.js';

/** End users and their keys. */
@Module({
  controllers: [UsersController],
  providers: [UsersService, UsersRepository, UserLifecycle],
  exports: [UserLifecycle, UsersService],
})
export class UsersModule {}
