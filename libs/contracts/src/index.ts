export * from './events.js';
export * from './frames.js';

/** Path of the committed OpenAPI document, from the top of the repository. */
export const OPENAPI_FILE = 'libs/contracts/openapi.json';
