import { Body, Controller, Delete, Get, Param, Post, Put, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Returns, ReturnsNothing, ReturnsPage, type Page } from '#libs/common';
import { Caller, ClientScopes, Idempotent, Limit, Public, type Principal } from '#libs/security';
import {
  ApiKeyCreateDto,
  ApiKeyDto,
  ApiKeyListQueryDto,
  ApiKeyRotateDto,
  ClientCreateDto,
  ClientDto,
  ClientEraseDto,
  ClientUpdateDto,
  NewApiKeyDto,
  RegisteredClientDto,
} from './client.dto.js';
import { ClientsService } from './clients.service.js';

/** Tenants and their keys. */
@ApiTags('Clients')
@Controller('clients')
export class ClientsController {
  constructor(private readonly clients: ClientsService) {}

  /** Register a client application; the answer holds its master key once. */
  @Post()
  @Public()
  @Limit('authentication')
  @Idempotent()
  @Returns(RegisteredClientDto, { status: 201 })
  register(@Caller() caller: Principal, @Body() body: ClientCreateDto): Promise<RegisteredClientDto> {
    return this.clients.register(caller, body);
  }

  /** Get the current client. */
  @Get('me')
  @ClientScopes('clients:write')
  @Returns(ClientDto)
  me(@Caller() caller: Principal): Promise<ClientDto> {
    return this.clients.me(caller);
  }

  /** Update the current client. */
  @Put('me')
  @ClientScopes('clients:write')
  @Returns(ClientDto)
  update(@Caller() caller: Principal, @Body() body: ClientUpdateDto): Promise<ClientDto> {
    return this.clients.update(caller, body);
  }

  /** Erase the client and everything it owns. */
  @Delete('me')
  @ClientScopes('clients:write')
  @ReturnsNothing()
  erase(@Caller() caller: Principal, @Body() body: ClientEraseDto): Promise<void> {
    return this.clients.erase(caller, body);
  }

  /** Make a key with fewer scopes; it is shown once. */
  @Post('me/keys')
  @ClientScopes('clients:write')
  @Limit('authentication')
  @Idempotent()
  @Returns(NewApiKeyDto, { status: 201 })
  mintKey(@Caller() caller: Principal, @Body() body: ApiKeyCreateDto): Promise<NewApiKeyDto> {
    return this.clients.mintKey(caller, body);
  }

  /** List the client's keys. */
  @Get('me/keys')
  @ClientScopes('clients:write')
  @ReturnsPage(ApiKeyDto)
  listKeys(@Caller() caller: Principal, @Query() query: ApiKeyListQueryDto): Promise<Page<ApiKeyDto>> {
    return this.clients.listKeys(caller, query);
  }

  /** Replace the master key. */
  @Post('me/keys/rotate')
  @ClientScopes('clients:write')
  @Limit('authentication')
  @Idempotent()
  @Returns(NewApiKeyDto, { status: 201, bodyOptional: true, errors: ['INVALID_STATE'] })
  rotateMaster(@Caller() caller: Principal, @Body() body: ApiKeyRotateDto): Promise<NewApiKeyDto> {
    return this.clients.rotateMaster(caller, body);
  }

  /** Revoke a key. */
  @Delete('me/keys/:key_id')
  @ClientScopes('clients:write')
  @ReturnsNothing({ errors: ['INVALID_STATE'] })
  revokeKey(@Caller() caller: Principal, @Param('key_id') keyId: string): Promise<void> {
    return this.clients.revokeKey(caller, keyId);
  }
}
