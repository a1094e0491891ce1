import { Body, Controller, Delete, Get, Param, Post, Put, Query } from '@nestjs/common';
import { ApiExtraModels, ApiTags } from '@nestjs/swagger';
import { Returns, ReturnsNothing, ReturnsPage, type Page } from '#libs/common';
import { Caller, ClientScopes, Idempotent, type Principal } from '#libs/security';
import {
  MessageDeletedEventDto,
  NotificationEventDto,
  RoomJoinedEventDto,
  RoomLeftEventDto,
  UserDeletedEventDto,
  WebhookDisabledEventDto,
  WebhookMetaDto,
  WebhookTestEventDto,
} from './event-data.dto.js';
import { EventTypesDto } from './event-type.dto.js';
import { EventTypes } from './event-types.js';
import {
  NewWebhookDto,
  WebhookCreateDto,
  WebhookDto,
  WebhookListQueryDto,
  WebhookSigningSecretDto,
  WebhookSecretRotateDto,
  WebhookUpdateDto,
} from './webhook.dto.js';
import { WebhooksService } from './webhooks.service.js';

/** Endpoints. */
@ApiTags('Webhooks')
@ApiExtraModels(
  MessageDeletedEventDto,
  NotificationEventDto,
  RoomJoinedEventDto,
  RoomLeftEventDto,
  UserDeletedEventDto,
  WebhookDisabledEventDto,
  WebhookMetaDto,
  WebhookTestEventDto,
)
@Controller('webhooks')
export class WebhooksController {
  constructor(
    private readonly webhooks: WebhooksService,
    private readonly eventTypes: EventTypes,
  ) {}

  /** Create an endpoint; the answer holds its signing secret. */
  @Post()
  @ClientScopes('webhooks:write')
  @Idempotent()
  @Returns(NewWebhookDto, { status: 201, errors: ['RESOURCE_NOT_FOUND'] })
  create(@Caller() caller: Principal, @Body() body: WebhookCreateDto): Promise<NewWebhookDto> {
    return this.webhooks.create(caller, body);
  }

  /** List the client's endpoints. */
  @Get()
  @ClientScopes('webhooks:read')
  @ReturnsPage(WebhookDto)
  list(@Caller() caller: Principal, @Query() query: WebhookListQueryDto): Promise<Page<WebhookDto>> {
    return this.webhooks.list(caller, query);
  }

  /** List the events with the JSON Schema and an example of each payload. */
  @Get('event-types')
  @ClientScopes('webhooks:read')
  @Returns(EventTypesDto)
  listEventTypes(): EventTypesDto {
    return this.eventTypes.list();
  }

  /** Get an endpoint. */
  @Get(':webhook_id')
  @ClientScopes('webhooks:read')
  @Returns(WebhookDto)
  get(@Caller() caller: Principal, @Param('webhook_id') webhookId: string): Promise<WebhookDto> {
    return this.webhooks.get(caller, webhookId);
  }

  /** Update an endpoint; `is_active: true` brings a disabled one back. */
  @Put(':webhook_id')
  @ClientScopes('webhooks:write')
  @Returns(WebhookDto)
  update(
    @Caller() caller: Principal,
    @Param('webhook_id') webhookId: string,
    @Body() body: WebhookUpdateDto,
  ): Promise<WebhookDto> {
    return this.webhooks.update(caller, webhookId, body);
  }

  /** Delete an endpoint; what is waiting for it is not sent. */
  @Delete(':webhook_id')
  @ClientScopes('webhooks:write')
  @ReturnsNothing()
  remove(@Caller() caller: Principal, @Param('webhook_id') webhookId: string): Promise<void> {
    return this.webhooks.remove(caller, webhookId);
  }

  /** Show the signing secret. */
  @Get(':webhook_id/secret')
  @ClientScopes('webhooks:write')
  @Returns(WebhookSigningSecretDto)
  secret(@Caller() caller: Principal, @Param('webhook_id') webhookId: string): Promise<WebhookSigningSecretDto> {
    return this.webhooks.secret(caller, webhookId);
  }

  /** Replace the signing secret; the old one also signs for the grace, 24 hours by default. */
  @Post(':webhook_id/rotate-secret')
  @ClientScopes('webhooks:write')
  @Idempotent()
  @Returns(WebhookSigningSecretDto, { status: 201, bodyOptional: true })
  rotateSecret(
    @Caller() caller: Principal,
    @Param('webhook_id') webhookId: string,
    @Body() body: WebhookSecretRotateDto,
  ): Promise<WebhookSigningSecretDto> {
    return this.webhooks.rotateSecret(caller, webhookId, body);
  }
}
