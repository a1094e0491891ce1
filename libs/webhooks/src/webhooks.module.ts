import { Module } from '@nestjs/common';
import { EndpointHealth } from './endpoint-health.js';
import { EndpointHealthRepository } from './endpoint-health.repository.js';
import { EventRelay } from './event-relay.js';
import { EventRelayRepository } from './event-relay.repository.js';
import { EventTypes } from './event-types.js';
import { EndpointStates } from './handlers/endpoint-states.js';
import { EventContents } from './handlers/event-contents.js';
import { OpenedSecrets } from './handlers/opened-secrets.js';
import { WebhookEventHandler } from './handlers/webhook-event.handler.js';
import { ForgetOldDeliveriesProcessor } from './jobs/forget-old-deliveries.processor.js';
import { WebhookDeliveriesController } from './webhook-deliveries.controller.js';
import { WebhookDeliveriesRepository } from './webhook-deliveries.repository.js';
import { WebhookDeliveriesService } from './webhook-deliveries.service.js';
import { WebhooksController } from './webhooks.controller.js';
import { WebhooksRepository } from './webhooks.repository.js';
import { WebhooksService } from './webhooks.service.js';

/** Endpoints, the relay of facts to them, and their deliveries. */
@Module({
  controllers: [WebhooksController, WebhookDeliveriesController],
  providers: [
    WebhooksService,
    WebhooksRepository,
    WebhookDeliveriesService,
    WebhookDeliveriesRepository,
    EventTypes,
    EventRelay,
    EventRelayRepository,
    EndpointHealth,
    EndpointHealthRepository,
    EndpointStates,
    EventContents,
    OpenedSecrets,
    WebhookEventHandler,
    ForgetOldDeliveriesProcessor,
  ],
  exports: [EventTypes],
})
export class WebhooksModule {}
