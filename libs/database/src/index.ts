export * from './database.js';
export * from './database.module.js';
export * from './hot-sessions.js';
export * from './list.js';
export * from './migrate.js';
export * from './pg-listener.js';
export * from './postgres-errors.js';
export type { NamedStatement, TextRow } from './text-query.js';
export * from './embedded/index.js';
