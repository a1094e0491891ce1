export * from './event-log.js';
export * from './events.module.js';
export * from './event.entity.js';
