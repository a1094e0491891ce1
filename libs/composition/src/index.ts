export * from './app.module.js';
export * from './reseal-secrets.processor.js';
