export * from './app.module.js';
export * from './run-process.js';
