export * from './database.js';
export * from './database.module.js';
export * from './list.js';
export * from './migrate.js';
export * from './pg-listener.js';
export * from './postgres-errors.js';
export * from './embedded/index.js';
