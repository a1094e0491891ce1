export * from './scheduler.js';
export * from './jobs.module.js';
export * from './scheduled-job.entity.js';
