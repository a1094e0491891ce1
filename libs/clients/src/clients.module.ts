import { Module } from '@nestjs/common';
import { ClientsController } from './clients.controller.js';
import { ClientsRepository } from './clients.repository.js';
import { ClientsService } from './clients.service.js';

/** Tenants and their keys. */
@Module({ controllers: [ClientsController], providers: [ClientsService, ClientsRepository] })
export class ClientsModule {}
