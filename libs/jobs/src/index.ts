export * from './scheduler.js';
export * from './jobs.module.js';
