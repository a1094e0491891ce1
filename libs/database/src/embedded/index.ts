export { openDataDirectory } from './data-directory.js';
export { EmbeddedPostgresError } from './embedded-postgres.error.js';
export { startEmbeddedPostgres } from './embedded-postgres.js';
export type {
  EmbeddedPostgres,
  EmbeddedPostgresConnection,
  EmbeddedPostgresExit,
  EmbeddedPostgresOptions,
} from './embedded-postgres.js';
