export * from './webhooks.module.js';
export * from './event-types.js';
export type { EventTypeDto } from './event-type.dto.js';
export * from './webhook-endpoint.entity.js';
