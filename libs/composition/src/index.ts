export * from './app.module.js';
export * from './operations.js';
export * from './reseal-secrets.processor.js';
