export * from './hub.js';
export * from './realtime.module.js';
