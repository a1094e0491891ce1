export * from './delivery.js';
export * from './deliveries.js';
export * from './scheduler.js';
export * from './jobs.module.js';
export * from './scheduled-job.entity.js';
export * from './delivery.entity.js';
export * from './delivery-engine.js';
export * from './delivery-log.js';
