import { Body, Controller, Get, Param, Post, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Returns, ReturnsPage, type Page } from '#libs/common';
import { Caller, ClientScopes, Idempotent, type Principal } from '#libs/security';
import {
  WebhookDeliveryDetailDto,
  WebhookDeliveryDto,
  WebhookDeliveryListQueryDto,
  WebhookRecoverDto,
  WebhookRecoveredDto,
} from './webhook-delivery.dto.js';
import { WebhookDeliveriesService } from './webhook-deliveries.service.js';
import { WebhookTestDto } from './webhook.dto.js';

/** What was sent to an endpoint, and sending it again. */
@ApiTags('Webhooks')
@Controller('webhooks/:webhook_id')
export class WebhookDeliveriesController {
  constructor(private readonly deliveries: WebhookDeliveriesService) {}

  /** Send a test event to the endpoint. */
  @Post('test')
  @ClientScopes('webhooks:write')
  @Idempotent()
  @Returns(WebhookDeliveryDto, { status: 201, bodyOptional: true, errors: ['INVALID_STATE'] })
  test(
    @Caller() caller: Principal,
    @Param('webhook_id') webhookId: string,
    @Body() body: WebhookTestDto,
  ): Promise<WebhookDeliveryDto> {
    return this.deliveries.test(caller, webhookId, body);
  }

  /** Send again everything that failed since an instant. */
  @Post('recover')
  @ClientScopes('webhooks:write')
  @Returns(WebhookRecoveredDto, { errors: ['INVALID_STATE'] })
  recover(
    @Caller() caller: Principal,
    @Param('webhook_id') webhookId: string,
    @Body() body: WebhookRecoverDto,
  ): Promise<WebhookRecoveredDto> {
    return this.deliveries.recover(caller, webhookId, body);
  }

  /** List the endpoint's deliveries. */
  @Get('deliveries')
  @ClientScopes('webhooks:read')
  @ReturnsPage(WebhookDeliveryDto)
  list(
    @Caller() caller: Principal,
    @Param('webhook_id') webhookId: string,
    @Query() query: WebhookDeliveryListQueryDto,
  ): Promise<Page<WebhookDeliveryDto>> {
    return this.deliveries.list(caller, webhookId, query);
  }

  /** Get a delivery with its attempts and what the receiver answered. */
  @Get('deliveries/:delivery_id')
  @ClientScopes('webhooks:read')
  @Returns(WebhookDeliveryDetailDto)
  get(
    @Caller() caller: Principal,
    @Param('webhook_id') webhookId: string,
    @Param('delivery_id') deliveryId: string,
  ): Promise<WebhookDeliveryDetailDto> {
    return this.deliveries.get(caller, webhookId, deliveryId);
  }

  /** Send a finished delivery again, with the same `webhook-id`. */
  @Post('deliveries/:delivery_id/redeliver')
  @ClientScopes('webhooks:write')
  @Returns(WebhookDeliveryDto, { errors: ['INVALID_STATE'] })
  redeliver(
    @Caller() caller: Principal,
    @Param('webhook_id') webhookId: string,
    @Param('delivery_id') deliveryId: string,
  ): Promise<WebhookDeliveryDto> {
    return this.deliveries.redeliver(caller, webhookId, deliveryId);
  }
}
